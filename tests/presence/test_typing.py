"""Typing: its rules on a clock that the test advances (F130 to F136, K3), and its receivers over the wire."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import pytest
from django.conf import settings

from accounts import blocks, privacy
from chat.conversations import members
from chat.refusals import NotAMember
from gateway import bus, hub
from gateway.bus import Event
from gateway.ids import ConversationId, UserId
from presence import typing
from presence.queries import Typist, read_typist
from presence.typing import TypingStates
from tests.chat.rest import Api
from tests.clients import connected
from tests.factories import direct, group, someone
from tests.servers import Server

ADA, BOB, CHAT, OTHER = 1, 2, 10, 11


class ManualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when the test advances it."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def advance(self, seconds: float = 0.0) -> None:
        """Advance the clock, and run everything that is due."""
        self.now += seconds
        for _ in range(5):
            self.run_until_complete(asyncio.sleep(0))


class FakeHub:
    """Stands in for the hub: Ada and Bob are in both chats, at membership version 1."""

    async def current_members(self, conversation_id: ConversationId) -> tuple[int, list[int]]:
        return 1, [ADA, BOB]


@pytest.fixture
def loop() -> Iterator[ManualLoop]:
    clock = ManualLoop()
    yield clock
    clock.close()


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Event]]:
    events: list[Event] = []
    before = bus._hub
    bus.attach(events.append)
    monkeypatch.setattr(hub, "current", FakeHub)
    monkeypatch.setattr(typing, "read_member_number", lambda user, chat: user)
    yield events
    bus.attach(before)


@pytest.fixture
def typing_states() -> TypingStates:
    known = TypingStates()
    for user, name in ((ADA, "Ada"), (BOB, "Bob")):
        known._cached_typists[user] = (float("inf"), Typist(name, True, []))
    return known


def states_in(published: list[Event]) -> list[tuple[int, bool]]:
    """Return the published typing states as (user, active)."""
    return [
        (int(p["userId"]), p["active"]) for p in (msgspec.json.decode(event.frame)["payload"] for event in published)
    ]


def start(loop: ManualLoop, typing_states: TypingStates, user: int = ADA, chat: int = CHAT) -> None:
    async def run() -> None:
        job = typing_states.start(UserId(user), ConversationId(chat))
        if job is not None:
            await job

    loop.run_until_complete(run())


def stop(loop: ManualLoop, typing_states: TypingStates, user: int = ADA, chat: int = CHAT) -> None:
    async def run() -> None:
        typing_states.stop(UserId(user), ConversationId(chat))

    loop.run_until_complete(run())


def test_typing_expires_five_seconds_after_its_last_start(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event]
) -> None:
    start(loop, typing_states)
    loop.advance(3)
    start(loop, typing_states)
    loop.advance(4.9)
    before = states_in(published)
    loop.advance(0.2)

    assert before == [(ADA, True), (ADA, True)]
    assert states_in(published) == [*before, (ADA, False)]


def test_stop_is_published_once_and_at_once(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event]
) -> None:
    start(loop, typing_states)
    stop(loop, typing_states)
    stop(loop, typing_states)
    loop.advance(10)

    assert states_in(published) == [(ADA, True), (ADA, False)]


def test_stop_without_a_start_publishes_nothing(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event]
) -> None:
    stop(loop, typing_states)

    assert states_in(published) == []


def test_second_start_within_a_second_is_dropped_per_conversation(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event]
) -> None:
    start(loop, typing_states)
    stop(loop, typing_states)
    loop.advance(0.5)
    start(loop, typing_states)
    start(loop, typing_states, chat=OTHER)
    start(loop, typing_states, user=BOB)
    loop.advance(0.6)
    start(loop, typing_states)

    assert states_in(published) == [(ADA, True), (ADA, False), (ADA, True), (BOB, True), (ADA, True)]


def test_continued_typing_is_published_every_five_seconds(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event]
) -> None:
    """K3: at most one refresh in 5 s, and none after the 6 s at which a client drops the indicator.

    A client says so with the first key 3 s after the last time, so a little later than every 3 s.
    """
    published_at: list[float] = []
    due = 0.0
    for step in range(300):
        if step / 10 >= due:
            start(loop, typing_states)
            due += 3.3
        loop.advance(0.1)
        published_at += [step / 10] * (len(published) - len(published_at))

    assert {active for _, active in states_in(published)} == {True}
    gaps = [after - before for before, after in pairwise(published_at)]
    assert 5 <= min(gaps) <= max(gaps) < 6


def test_single_start_is_published_once_and_then_its_end(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event]
) -> None:
    start(loop, typing_states)
    for _ in range(100):
        loop.advance(0.1)

    assert states_in(published) == [(ADA, True), (ADA, False)]


def test_message_ends_a_start_that_is_still_pending(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event]
) -> None:
    """F134: a message ends typing, even if the start still waits for the database."""

    async def quick() -> None:
        job = typing_states.start(UserId(ADA), ConversationId(CHAT))
        typing_states.stop(UserId(ADA), ConversationId(CHAT))
        if job is not None:
            await job

    loop.run_until_complete(quick())

    assert states_in(published)[-1:] != [(ADA, True)]


def test_last_connection_closed_ends_all_typing_of_its_user(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event]
) -> None:
    start(loop, typing_states)
    start(loop, typing_states, chat=OTHER)
    start(loop, typing_states, user=BOB)

    async def leave() -> None:
        typing_states.stop_users([ADA])

    loop.run_until_complete(leave())

    assert states_in(published)[3:] == [(ADA, False), (ADA, False)]


def test_typing_end_is_published_as_its_start_after_the_group_grew(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise readers of the first frame would never see the end."""

    class LargeHub(FakeHub):
        async def current_members(self, conversation_id: ConversationId) -> tuple[int, list[int]]:
            return 1, list(range(1, settings.LIMITS.fanout_threshold + 1))

    start(loop, typing_states)
    monkeypatch.setattr(hub, "current", LargeHub)
    start(loop, typing_states, user=BOB)
    published[:] = [event for event in published if not event.notice]
    stop(loop, typing_states)

    assert states_in(published) == [(ADA, True), (ADA, False)]


def test_typing_in_a_foreign_conversation_is_refused(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event]
) -> None:
    typing_states._cached_typists[3] = (float("inf"), Typist("Eve", True, []))

    with pytest.raises(NotAMember):
        start(loop, typing_states, user=3)

    assert states_in(published) == []


def test_typing_of_a_user_who_hides_it_is_not_published(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event]
) -> None:
    typing_states._cached_typists[ADA] = (float("inf"), Typist("Ada", False, []))

    start(loop, typing_states)
    stop(loop, typing_states)

    assert states_in(published) == []


def test_typing_event_skips_the_typist_and_blocked_users(
    loop: ManualLoop, typing_states: TypingStates, published: list[Event]
) -> None:
    typing_states._cached_typists[ADA] = (float("inf"), Typist("Ada", True, [BOB]))

    start(loop, typing_states)

    (event,) = published
    assert sorted(event.skip_users) == [ADA, BOB]
    assert (event.rev, event.seq, event.conversation_id, event.version) == (0, 0, CHAT, 1)


def test_typist_is_read_with_name_setting_and_blocks() -> None:
    ada, bob, cem = someone("Ada"), someone(), someone()
    before = read_typist(ada.id)
    privacy.change(ada.id, settings={"show_typing": False})
    blocks.block(bob.id, ada.id)
    blocks.block(ada.id, cem.id)

    assert before == Typist("Ada", True, [])
    assert read_typist(ada.id) == Typist("Ada", False, sorted([bob.id, cem.id]))


# --- over the wire ----------------------------------------------------------------------------------------------------


async def test_typing_reaches_the_other_members_only(server: Server) -> None:
    ada, bob, cem, eve = someone("Ada"), someone(), someone(), someone()
    chat = group(ada, bob, cem)
    members.remove(ada.id, chat, cem.id)

    async with (
        connected(server, ada) as a,
        connected(server, bob) as b,
        connected(server, cem) as c,
        connected(server, eve) as e,
    ):
        await a.send("typing.start", {"chatId": str(chat)})
        seen = await b.expect("typing.indicator")
        await a.send("typing.stop", {"chatId": str(chat)})
        ended = await b.expect("typing.indicator")
        others = [f["type"] for client in (a, c, e) for f in await client.settled()]

    assert seen == {"chatId": str(chat), "userId": str(ada.id), "displayName": "Ada", "active": True}
    assert ended == {**seen, "active": False}
    assert "typing.indicator" not in others


async def test_closed_connection_ends_its_typing(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    async with connected(server, bob) as b:
        async with connected(server, ada) as a:
            await a.send("typing.start", {"chatId": str(chat)})
            await b.expect("typing.indicator", lambda payload: payload["active"])
        ended = await b.expect("typing.indicator")

    assert ended["active"] is False


@pytest.mark.parametrize("way", ["blocks", "is blocked"])
async def test_block_in_either_direction_hides_typing(server: Server, way: str) -> None:
    """As it hides presence: a typing user is online."""
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    blocks.block(*((bob.id, ada.id) if way == "blocks" else (ada.id, bob.id)))

    async with connected(server, ada) as a, connected(server, bob) as b, connected(server, cem) as c:
        await a.send("typing.start", {"chatId": str(chat)})
        await c.expect("typing.indicator")
        heard = [f["type"] for f in await b.settled()]

    assert "typing.indicator" not in heard


async def test_send_right_after_a_start_leaves_no_typing_state(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    async with connected(server, ada) as a, connected(server, bob) as b:
        await a.send("typing.start", {"chatId": str(chat)})
        await a.say(chat)
        await b.expect("message.new")
        await a.call("sync.request", {"chats": {}})
        frames = await b.settled()
        states = [f["payload"]["active"] for f in [*b.frames, *frames] if f["type"] == "typing.indicator"]

    assert states in ([], [True, False])


async def test_typing_over_rest_reaches_sockets(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    async with connected(server, bob) as b:
        assert Api(server, ada).post(f"conversations/{chat}/typing", {"active": True}).status == 204
        await b.expect("typing.indicator", lambda payload: payload["active"])
        assert Api(server, ada).post(f"conversations/{chat}/typing", {"active": False}).status == 204
        await b.expect("typing.indicator", lambda payload: not payload["active"])
