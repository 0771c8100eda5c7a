"""The hub: receivers of an event, order, missing events; with lookups that the test controls."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError

from gateway import bus
from gateway.bus import Event
from gateway.connection import Connection
from gateway.frames import Class, Session
from gateway.hub import GAP_WAIT, Hub, Lookups
from gateway.ids import ConversationId, DeviceId, UserId
from gateway.topics import Audience, Interval, Known

CHAT, ADA, BOB, CAY = 7, 1, 2, 3
_ids = itertools.count(1)


class Database:
    """The answers of the lookups, and a record of the questions."""

    def __init__(self) -> None:
        self.version = 1
        self.settled = 0
        self.members: dict[int, tuple[int, int | None]] = {ADA: (0, None), BOB: (0, None)}
        self.rows: list[Event] = []
        self.asked: list[str] = []
        self.away = 0

    def ask(self, what: str) -> None:
        self.asked.append(what)
        if self.away:
            self.away -= 1
            raise OperationalError("away")

    def audience(self, conversation_id: ConversationId, known: Known | None) -> Audience:
        """Answer like the real lookup, but always list all former members."""
        self.ask("audience" if known is None else "news")
        seq = max((joined for joined, _ in self.members.values()), default=0)
        found = [Interval(user, *span) for user, span in self.members.items() if span[1] is not None]
        found += [Interval(user, *span) for user, span in self.members.items() if span[1] is None]
        return Audience(self.version, self.settled, Known(1, seq), found)

    def between(self, conversation_id: ConversationId, after: int, until: int) -> list[Event]:
        self.ask("between")
        return [event for event in self.rows if after < event.rev < until]

    def since(self, users: list[int], moment: datetime) -> list[Event]:
        self.ask("since")
        return self.rows


class Peer:
    """A connection whose socket is a list."""

    def __init__(self, user: int, *, device: int = 0) -> None:
        self.received: list[str] = []
        self.closes: list[tuple[int, str]] = []
        self.connection = Connection(
            next(_ids), Session(UserId(user), DeviceId(device or user * 10), None), self.send, limit=100
        )
        self.connection.greet([])

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.close":
            self.closes.append((message["code"], message["reason"]))
        else:
            self.received.append(message["text"])


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def hub(database: Database) -> AsyncIterator[Hub]:
    """A hub that has not joined the bus: it publishes to nobody."""
    here = Hub(Lookups(audience=database.audience, between=database.between, since=database.since))
    yield here
    await here.stop()


def event(rev: int, *, seq: int | None = None, version: int = 1, **more: Any) -> Event:
    return Event(
        conversation_id=CHAT,
        version=version,
        seq=rev if seq is None else seq,
        rev=rev,
        frame=f"m{rev}".encode(),
        **more,
    )


def enter(hub: Hub, *peers: Peer) -> None:
    for peer in peers:
        hub.add(peer.connection)


async def deliver(hub: Hub, events: Sequence[Event]) -> None:
    """Deliver events like another process, and wait until the hub has loaded the members."""
    hub._receive(events)
    topic = hub._topics.get(CHAT)
    if topic is not None and topic.loading is not None:
        await topic.loading


async def until(peer: Peer, received: list[str]) -> None:
    async with asyncio.timeout(5):
        while len(peer.received) < len(received):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert peer.received == received


async def test_members_get_an_event_once_and_other_users_never(hub: Hub) -> None:
    ada, bob, cay = Peer(ADA), Peer(BOB), Peer(CAY)
    enter(hub, ada, bob, cay)
    await deliver(hub, [event(1), event(2), event(2), event(1)])
    assert (ada.received, bob.received, cay.received) == (["m1", "m2"], ["m1", "m2"], [])


async def test_members_are_loaded_once_per_version(hub: Hub, database: Database) -> None:
    ada, cay = Peer(ADA), Peer(CAY)
    enter(hub, ada, cay)
    await deliver(hub, [event(1)])
    await deliver(hub, [event(2)])
    assert database.asked == ["audience"]
    database.version, database.members = 2, {ADA: (0, 2), CAY: (2, None)}
    await deliver(hub, [event(3, version=2), event(4, version=2)])
    assert database.asked == ["audience", "news"]
    assert (ada.received, cay.received) == (["m1", "m2"], ["m3", "m4"])


async def test_former_member_gets_late_event_from_before_leaving(hub: Hub, database: Database) -> None:
    """A late event of an older version goes to the members at its seq."""
    database.version, database.members = 2, {ADA: (0, None), BOB: (0, 1), CAY: (1, None)}
    ada, bob, cay = Peer(ADA), Peer(BOB), Peer(CAY)
    enter(hub, ada, bob, cay)
    await deliver(hub, [event(1, version=1), event(2, version=2)])
    assert (ada.received, bob.received, cay.received) == (["m1", "m2"], ["m1"], ["m2"])


async def test_events_out_of_order_are_delivered_by_rev(hub: Hub, database: Database) -> None:
    ada = Peer(ADA)
    enter(hub, ada)
    await deliver(hub, [event(2), event(4)])
    await deliver(hub, [event(3)])
    assert ada.received == []
    await deliver(hub, [event(1)])
    assert ada.received == ["m1", "m2", "m3", "m4"]
    assert database.asked == ["audience"]


async def test_missing_event_is_loaded_from_the_database(hub: Hub, database: Database) -> None:
    ada = Peer(ADA)
    enter(hub, ada)
    database.rows = [event(2), event(3)]
    await deliver(hub, [event(1), event(4)])
    assert ada.received == ["m1"]
    await until(ada, ["m1", "m2", "m3", "m4"])
    await deliver(hub, [event(2), event(3), event(5)])
    assert ada.received == ["m1", "m2", "m3", "m4", "m5"]


async def test_unavailable_database_delays_events_but_loses_none(
    hub: Hub, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.threads.RETRY_INTERVAL", 0.01)
    ada = Peer(ADA)
    enter(hub, ada)
    database.away = 2
    await deliver(hub, [event(1)])
    assert ada.received == ["m1"]
    database.away, database.rows = 2, [event(2)]
    await deliver(hub, [event(3), event(4)])
    await until(ada, ["m1", "m2", "m3", "m4"])
    database.away, database.rows = 2, [event(5)]
    hub._recover()
    await until(ada, ["m1", "m2", "m3", "m4", "m5"])
    assert database.asked == ["audience"] * 3 + ["between"] * 3 + ["since"] * 3


async def test_rev_without_a_frame_delays_later_events_only_briefly(hub: Hub) -> None:
    ada = Peer(ADA)
    enter(hub, ada)
    began = asyncio.get_running_loop().time()
    await deliver(hub, [event(1), event(3), event(6)])
    await until(ada, ["m1", "m3", "m6"])
    assert asyncio.get_running_loop().time() - began >= GAP_WAIT


async def test_new_topic_waits_for_events_above_the_settled_rev(hub: Hub, database: Database) -> None:
    ada = Peer(ADA)
    enter(hub, ada)
    database.settled = 10
    await deliver(hub, [event(12)])
    assert ada.received == []
    await deliver(hub, [event(11)])
    assert ada.received == ["m11", "m12"]


async def test_process_without_connections_loads_nothing_and_later_delivers_only_new_events(
    hub: Hub, database: Database
) -> None:
    first, second = Peer(ADA), Peer(ADA)
    enter(hub, first)
    await deliver(hub, [event(1)])
    hub.remove(first.connection)
    await deliver(hub, [event(2), event(4, version=2)])
    enter(hub, second)
    await deliver(hub, [event(5, version=1)])
    assert database.asked == ["audience"]
    assert second.received == ["m5"]


async def test_ephemeral_events_are_delivered_without_waiting(hub: Hub) -> None:
    ada = Peer(ADA)
    enter(hub, ada)
    await deliver(hub, [event(1)])
    await deliver(hub, [event(3), Event(conversation_id=CHAT, version=1, cls=Class.TYPING, frame=b"typing")])
    assert ada.received == ["m1", "typing"]


async def test_senders_other_connection_gets_frame_with_state_and_sending_one_gets_none(hub: Hub) -> None:
    sending, other, bob = Peer(ADA), Peer(ADA), Peer(BOB)
    enter(hub, sending, other, bob)
    frame = b'{"payload":{"message":{"x":1}}}'
    received = Event(
        conversation_id=CHAT, version=1, seq=1, rev=1, frame=frame, own=b',"state":"sent"}}}', actor=ADA,
        skip_connection=sending.connection.id,
    )  # fmt: skip
    await deliver(hub, [received])
    assert sending.received == []
    assert other.received == ['{"payload":{"message":{"x":1,"state":"sent"}}}']
    assert bob.received == [frame.decode()]


async def test_skipped_user_gets_no_frame(hub: Hub) -> None:
    ada, bob = Peer(ADA), Peer(BOB)
    enter(hub, ada, bob)
    await deliver(hub, [event(1, skip_users=[BOB]), event(2)])
    assert (ada.received, bob.received) == (["m1", "m2"], ["m2"])


@pytest.mark.parametrize("by", ["device", "connection"])
async def test_close_order_closes_only_the_named_connection(hub: Hub, by: str) -> None:
    named, spared = Peer(ADA, device=11), Peer(BOB, device=12)
    enter(hub, named, spared)
    orders = {
        "device": Event(close_device=11, code=4401, reason="revoked"),
        "connection": Event(close_connection=named.connection.id, code=4401, reason="revoked"),
    }
    hub._receive([orders[by]])
    await named.connection.closed
    assert named.closes == [(4401, "revoked")]
    assert spared.closes == []


async def test_connection_added_during_drain_is_closed_with_a_delay(hub: Hub) -> None:
    there, late = Peer(ADA), Peer(BOB)
    enter(hub, there)
    await hub.drain()
    enter(hub, late)
    await late.connection.closed
    for peer in (there, late):
        ((code, reason),) = peer.closes
        assert (code, 1 <= int(reason) <= 10) == (4503, True)


async def test_close_order_during_handshake_closes_the_connection_afterwards(hub: Hub) -> None:
    ada = Peer(ADA, device=11)
    hub._receive([Event(close_device=11, code=4401, reason="revoked")])
    enter(hub, ada)
    await ada.connection.closed
    assert ada.closes == [(4401, "revoked")]


async def test_drain_waits_for_acks_of_frames_in_flight(hub: Hub) -> None:
    """Including a frame that waited for 64 others and starts only when they end."""
    ada = Peer(ADA)
    enter(hub, ada)
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    ada.connection.in_flight.add(first)

    def begin_the_second(done: "asyncio.Future[None]") -> None:
        ada.connection.in_flight.discard(done)
        ada.connection.in_flight.add(second)
        loop.call_later(0.02, second.set_result, None)

    def acked(done: "asyncio.Future[None]") -> None:
        ada.connection.in_flight.discard(done)
        ada.connection.write(b"ack")

    first.add_done_callback(begin_the_second)
    second.add_done_callback(acked)
    loop.call_later(0.02, first.set_result, None)
    await hub.drain()
    assert (ada.received, len(ada.closes)) == (["ack"], 1)


async def test_events_stored_during_a_loss_are_delivered_once(hub: Hub, database: Database) -> None:
    ada = Peer(ADA)
    enter(hub, ada)
    await deliver(hub, [event(1)])
    database.rows = [event(1), event(2), event(3)]
    hub._recover()
    await until(ada, ["m1", "m2", "m3"])
    assert database.asked == ["audience", "since"]


async def test_loss_during_recovery_starts_another_recovery(hub: Hub, database: Database) -> None:
    ada = Peer(ADA)
    enter(hub, ada)
    await deliver(hub, [event(1)])
    database.rows = [event(2)]
    hub._recover()
    hub._recover()
    hub._recover()
    async with asyncio.timeout(5):
        while database.asked.count("since") < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await until(ada, ["m1", "m2"])
    assert database.asked.count("since") == 2


async def test_event_that_arrives_in_time_is_not_loaded(
    hub: Hub, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    ada = Peer(ADA)
    enter(hub, ada)
    await deliver(hub, [event(1), event(3)])
    topic = hub._topics[CHAT]
    hub._check_gap(CHAT, topic, topic.rev)
    await deliver(hub, [event(2)])
    async with asyncio.timeout(5):
        await asyncio.gather(*hub._tasks)
    assert ada.received == ["m1", "m2", "m3"]
    assert database.asked == ["audience"]
    assert caplog.records == []


def packet(origin: str, number: int, events: list[Event]) -> bus.ReceivedPacket:
    """Return a packet as it arrives."""
    return bus._decode(bus._encode(bus.Packet(origin, number, events)))


async def test_lost_packet_is_detected_by_its_number(hub: Hub) -> None:
    losses: list[None] = []
    here = bus.Bus(deliver=lambda events: None, lost=lambda: losses.append(None))
    for number in (5, 6, 8, 9):
        here._take(packet("another", number, []))
    assert len(losses) == 1


async def test_silent_process_is_reported_once_and_stopped_process_never() -> None:
    here = bus.Bus(deliver=lambda events: None, lost=lambda: None)
    for origin in ("killed", "stopped", here.origin):
        here._take(packet(origin, 1, []))
    here._take(packet("outlet", 1, [event(1)]))
    here._take(packet("stopped", bus.FAREWELL, []))
    assert here.remove_silent(60.0) == 0.0
    here._beat_at["killed"] -= 90.0
    assert here.remove_silent(60.0) == pytest.approx(90.0, abs=20.0)
    assert here.remove_silent(60.0) == 0.0


async def test_unpublished_events_of_a_killed_process_are_loaded(hub: Hub, database: Database) -> None:
    ada = Peer(ADA)
    enter(hub, ada)
    await deliver(hub, [event(1)])
    database.rows = [event(1), event(2)]
    hub._recover_after_death(3.5)
    await until(ada, ["m1", "m2"])
    assert database.asked == ["audience", "since"]


async def test_frames_before_the_greeting_are_written_after_it() -> None:
    peer = Peer(ADA)
    fresh = Connection(next(_ids), Session(UserId(ADA), DeviceId(1), None), peer.send, limit=10)
    fresh.write(b"live")
    assert peer.received == []
    fresh.greet([b"hello", b"replayed"])
    fresh.write(b"later")
    assert peer.received == ["hello", "replayed", "live", "later"]


async def test_replay_counts_as_received_only_after_a_later_sign_of_life() -> None:
    peer = Peer(ADA)
    resumed = Connection(next(_ids), Session(UserId(ADA), DeviceId(1), None), peer.send, limit=10)
    resumed.resumed_from = 1000.0
    resumed.greet([b"hello", b"replayed"])
    for after, since in ((-1.0, 1000.0), (0.5, 1000.0), (30.0, time.time() + 30.0)):
        resumed.heard_at = resumed.greeted_at + after
        assert resumed.received_until() == pytest.approx(since, abs=10.0)


async def test_blocked_connection_has_received_only_earlier_frames() -> None:
    blocked = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        await blocked.wait()

    slow = Connection(next(_ids), Session(UserId(ADA), DeviceId(1), None), send, limit=10)
    slow.greet([])
    before = slow.received_until()
    slow.write(b"stuck")
    slow.record_activity()
    behind = slow.received_until()
    slow.write(b"waits")
    slow.record_activity()
    assert before <= behind == pytest.approx(slow.received_until(), abs=0.005)
    blocked.set()
    await slow.out.flush()
    slow.record_activity()
    assert slow.received_until() > behind
    assert slow.out.behind_since == 0.0


async def test_connection_with_failing_writes_is_closed() -> None:
    closes: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.close":
            closes.append(message["code"])
        else:
            raise RuntimeError("no")

    broken = Connection(next(_ids), Session(UserId(ADA), DeviceId(1), None), send, limit=10)
    broken.greet([b"hello"])
    await broken.closed
    assert closes == [1011]


def hasty(monkeypatch: pytest.MonkeyPatch, **numbers: Any) -> None:
    """Lower the numbers of summary mode."""
    monkeypatch.setattr(settings, "LIMITS", replace(settings.LIMITS, **numbers))


async def test_fast_chat_gets_summaries_and_then_live_frames_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hasty(monkeypatch, summary_per_second=2, summary_interval=0.05, summary_calm=0.05)
    ada, cay = Peer(ADA), Peer(CAY)
    enter(hub, ada, cay)
    await deliver(hub, [event(1), event(2), event(4), event(5, seq=0), event(3)])
    assert ada.received == ["m1", "m2"]

    await until_count(ada, 3)
    received = json.loads(ada.received[2])
    assert (received["type"], received["payload"]) == (
        "message.summary",
        {"chatId": str(CHAT), "count": 2, "fromSeq": 3, "toSeq": 4, "rev": 5},
    )
    async with asyncio.timeout(5):
        while hub._topics[CHAT].summaries.digest is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await deliver(hub, [event(6), event(7)])
    assert ada.received[3:] == ["m6", "m7"]
    assert cay.received == []


async def test_summary_goes_to_members_at_its_time(
    hub: Hub, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty(monkeypatch, summary_per_second=1, summary_interval=0.05)
    ada, bob, cay = Peer(ADA), Peer(BOB), Peer(CAY)
    enter(hub, ada, bob, cay)
    await deliver(hub, [event(1), event(2)])
    database.version, database.members = 2, {ADA: (0, None), BOB: (0, 2), CAY: (2, None)}
    await deliver(hub, [event(3, version=2)])
    assert bob.received == ["m1"]

    await until_count(ada, 2)

    assert (len(ada.received), len(bob.received), len(cay.received)) == (2, 1, 1)


async def until_count(peer: Peer, count: int) -> None:
    async with asyncio.timeout(5):
        while len(peer.received) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_summary_mode_leaves_other_chats_and_ephemeral_events_alone(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty(monkeypatch, summary_per_second=1, summary_interval=5)
    ada = Peer(ADA)
    enter(hub, ada)
    beside = Event(conversation_id=CHAT + 1, version=1, seq=1, rev=1, frame=b"beside")
    await deliver(hub, [event(1), event(2)])
    hub._receive([beside])
    loading = hub._topics[CHAT + 1].loading
    assert loading is not None
    await loading
    await deliver(hub, [Event(conversation_id=CHAT, version=1, cls=Class.TYPING, frame=b"typing")])
    assert ada.received == ["m1", "beside", "typing"]


CROWD = dict.fromkeys(range(1, 100), (0, None))


async def test_large_conversation_iterates_over_connected_members_only(hub: Hub, database: Database) -> None:
    database.members = dict(CROWD)
    ada, bob, again = Peer(ADA), Peer(BOB), Peer(ADA)
    enter(hub, ada)
    await deliver(hub, [event(1)])
    enter(hub, bob, again, Peer(1000))
    topic = hub._topics[CHAT]
    assert set(topic.receivers(0)) == {ADA, BOB}

    await deliver(hub, [event(2)])
    hub.remove(again.connection)
    await deliver(hub, [event(3)])
    hub.remove(ada.connection)

    assert (ada.received, bob.received, again.received) == (["m1", "m2", "m3"], ["m2", "m3"], ["m2"])
    assert set(topic.receivers(0)) == {BOB}


async def test_membership_changes_of_a_large_conversation_are_loaded_alone(hub: Hub, database: Database) -> None:
    """Only changed members are loaded; a member who left and returned misses the message in between."""
    database.members = dict(CROWD)
    ada, bob, cay, new = Peer(ADA), Peer(BOB), Peer(CAY), Peer(200)
    enter(hub, ada, bob, cay, new)
    await deliver(hub, [event(1)])

    database.version, database.members = 2, {BOB: (0, 1), 200: (1, None)}
    await deliver(hub, [event(2, version=2)])
    database.version, database.members = 3, {BOB: (3, None), CAY: (0, 3)}
    await deliver(hub, [event(4, version=3), event(3, version=2)])

    assert database.asked == ["audience", "news", "news"]
    assert (ada.received, bob.received) == (["m1", "m2", "m3", "m4"], ["m1", "m4"])
    assert (cay.received, new.received) == (["m1", "m2", "m3"], ["m2", "m3", "m4"])


async def test_former_member_of_a_large_conversation_gets_late_event_from_before_leaving(
    hub: Hub, database: Database
) -> None:
    database.version, database.members = 2, {**CROWD, BOB: (0, 1)}
    ada, bob = Peer(ADA), Peer(BOB)
    enter(hub, ada, bob)
    await deliver(hub, [event(1, version=1), event(2, version=2)])
    assert (ada.received, bob.received) == (["m1", "m2"], ["m1"])


async def test_task_that_swallows_a_cancellation_does_not_block_stop(database: Database) -> None:
    stubborn = Hub(Lookups(database.audience, database.between, database.since, {}))
    swallowed = asyncio.Event()

    async def job() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    stubborn.spawn(job())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await stubborn.stop()

    assert swallowed.is_set()


async def test_all_listeners_of_a_notice_are_called_in_order(database: Database) -> None:
    heard: list[tuple[str, list[int]]] = []
    listeners = (
        lambda event: heard.append(("first", event.about)),
        lambda event: heard.append(("second", event.about)),
    )
    listening = Hub(Lookups(database.audience, database.between, database.since, {"changed": listeners}))

    listening._receive([Event(notice="changed", about=[ADA]), Event(notice="unknown", about=[BOB])])
    await listening.stop()

    assert heard == [("first", [ADA]), ("second", [ADA])]


async def test_closing_connection_does_not_count_for_the_cap(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIMITS", replace(settings.LIMITS, connections_per_user=2))
    first, second, third = Peer(ADA), Peer(ADA), Peer(ADA)
    enter(hub, first, second)
    second.connection.close(4401, "signed out")
    enter(hub, third)
    hub.close_oldest(ADA)
    await second.connection.closed

    assert (first.connection.closing, third.connection.closing) == (False, False)


async def test_event_after_a_removal_waits_for_the_newer_members(hub: Hub, database: Database) -> None:
    """The event comes while the members from before the removal are being loaded."""
    ada, bob = Peer(ADA), Peer(BOB)
    enter(hub, ada, bob)
    reading, go_on = threading.Event(), threading.Event()
    audience = database.audience

    def slow(conversation_id: ConversationId, known: Known | None) -> Audience:
        found = audience(conversation_id, known)
        reading.set()
        assert go_on.wait(5)
        return found

    hub._lookups = hub._lookups._replace(audience=slow)
    hub._receive([event(1)])
    await asyncio.to_thread(reading.wait, 5)
    database.version, database.members = 2, {ADA: (0, None), BOB: (0, 1)}
    hub._receive([event(2, version=2)])
    go_on.set()
    loading = hub._topics[CHAT].loading
    assert loading is not None
    await loading

    assert (ada.received, bob.received) == (["m1", "m2"], ["m1"])
