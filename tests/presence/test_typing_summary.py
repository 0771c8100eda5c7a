"""Typing in large conversations: rate, content and receivers of summaries (F138), on a clock that the test advances."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from typing import Any

import msgspec
import pytest
from django.conf import settings

from accounts import blocks, privacy
from chat.conversations import members
from gateway import hub
from gateway.bus import Event
from gateway.connection import Connection
from gateway.frames import Session
from gateway.ids import ConversationId, DeviceId, UserId
from presence.typing_summary import NOTICE, Change, TypingSummaries
from tests.chat.rest import Api
from tests.clients import Client, Frame, connected
from tests.factories import Someone, another_device, crowd, direct, group, someone
from tests.presence.conftest import Pair
from tests.presence.test_typing import ManualLoop

CHAT = 7
READERS = 1000
LARGE = settings.LIMITS.fanout_threshold


class FakeHub:
    """Stands in for the hub: a conversation of a thousand members, all connected here."""

    def __init__(self) -> None:
        self.members = dict.fromkeys(range(1, READERS + 1), 0)
        self.received: dict[int, list[Any]] = defaultdict(list)
        self.users: dict[int, list[Connection]] = {}

    def connect(self, user: int) -> None:
        async def send(message: dict[str, Any]) -> None:
            self.received[user].append(json.loads(message["text"])["payload"])

        connection = Connection(user, Session(UserId(user), DeviceId(user), None), send, limit=100)
        connection.greet([])
        self.users[user] = [connection]

    async def current_members(self, conversation_id: ConversationId, version: int = 0) -> tuple[int, dict[int, int]]:
        return 1, self.members

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        self.job = asyncio.ensure_future(job)


@pytest.fixture
def loop() -> Iterator[ManualLoop]:
    clock = ManualLoop()
    yield clock
    clock.close()


@pytest.fixture
def fake_hub(loop: ManualLoop, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    here = FakeHub()

    async def enter() -> None:
        for user in here.members:
            here.connect(user)

    loop.run_until_complete(enter())
    monkeypatch.setattr(hub, "current", lambda: here)
    return here


def apply_change(
    loop: ManualLoop, summaries: TypingSummaries, user: int, *, active: bool = True, hidden_from: tuple[int, ...] = ()
) -> None:
    change = Change(ConversationId(CHAT), 1, f"N{user}", active, list(hidden_from))

    async def take() -> None:
        summaries.apply(Event(notice=NOTICE, about=[user], data=msgspec.msgpack.encode(change)))

    loop.run_until_complete(take())


def test_five_hundred_typists_cost_a_reader_one_frame_a_second(loop: ManualLoop, fake_hub: FakeHub) -> None:
    summaries, seconds = TypingSummaries(), 5
    for step in range(seconds * 10):
        for user in range(1 + step * 10, 11 + step * 10):
            apply_change(loop, summaries, user)
        loop.advance(0.1)

    assert {len(frames) for frames in fake_hub.received.values()} <= set(range(1, seconds + 2))
    assert fake_hub.received[READERS][-1]["count"] >= 490
    assert len(fake_hub.received[READERS][-1]["typists"]) == 3


def test_first_start_and_last_end_are_sent_at_once(loop: ManualLoop, fake_hub: FakeHub) -> None:
    summaries = TypingSummaries()
    apply_change(loop, summaries, 1)
    loop.advance(0)
    at_start = list(fake_hub.received[2])
    loop.advance(3)
    apply_change(loop, summaries, 1, active=False)
    loop.advance(0)

    one = {"chatId": str(CHAT), "typists": [{"userId": "1", "displayName": "N1"}], "count": 1}
    assert at_start == [one]
    assert fake_hub.received[2] == [one, {"chatId": str(CHAT), "typists": [], "count": 0}]
    assert summaries._summaries == {}


def test_view_excludes_the_reader_and_blocked_users(loop: ManualLoop, fake_hub: FakeHub) -> None:
    summaries = TypingSummaries()
    apply_change(loop, summaries, 1, hidden_from=(3,))
    apply_change(loop, summaries, 2)
    loop.advance(1)

    def named(reader: int) -> list[str]:
        return [typist["userId"] for typist in fake_hub.received[reader][-1]["typists"]]

    assert (named(1), named(2), named(3), named(4)) == (["2"], ["1"], ["2"], ["1", "2"])
    assert [fake_hub.received[reader][-1]["count"] for reader in (1, 2, 3, 4)] == [1, 1, 1, 2]


def test_reader_with_an_unchanged_view_is_sent_nothing(loop: ManualLoop, fake_hub: FakeHub) -> None:
    summaries = TypingSummaries()
    apply_change(loop, summaries, 1, hidden_from=(3,))
    loop.advance(2)
    apply_change(loop, summaries, 1, hidden_from=(3,))
    loop.advance(2)

    assert (fake_hub.received[1], fake_hub.received[3], len(fake_hub.received[4])) == ([], [], 1)


def test_summary_is_repeated_and_expires_if_the_end_is_lost(loop: ManualLoop, fake_hub: FakeHub) -> None:
    summaries = TypingSummaries()
    apply_change(loop, summaries, 1)
    for _ in range(20):
        loop.advance(1)

    assert [payload["count"] for payload in fake_hub.received[2]] == [1, 1, 0]
    assert summaries._summaries == {}


# --- over the wire ----------------------------------------------------------------------------------------------------


async def expect_typing(client: Client, who: Someone, *, others: int = 0) -> Frame:
    """Wait until a client receives a summary with a typist and a number of others."""
    return await client.expect(
        "typing.indicator",
        lambda p: p.get("count") == others + 1 and str(who.id) in [t["userId"] for t in p["typists"]],
    )


async def test_large_group_receives_summaries_from_both_processes(pair: Pair) -> None:
    ada, bob, cay, dan = someone("Ada"), someone("Bob"), someone(), someone()
    chat = group(ada, bob, cay, dan, *crowd(LARGE - 3))
    members.remove(ada.id, chat, dan.id)
    blocks.block(cay.id, ada.id)
    async with (
        connected(pair.one, ada) as a,
        connected(pair.other, bob) as b,
        connected(pair.one, cay) as c,
        connected(pair.other, dan) as former,
    ):
        await a.send("typing.start", {"chatId": str(chat)})
        seen = await expect_typing(b, ada)
        await b.send("typing.start", {"chatId": str(chat)})
        await expect_typing(a, bob)
        await expect_typing(c, bob)
        await a.send("typing.stop", {"chatId": str(chat)})
        await b.send("typing.stop", {"chatId": str(chat)})
        for client in (a, b, c):
            await client.expect("typing.indicator", lambda payload: payload["count"] == 0)
        heard = [frame["type"] for frame in await former.settled()]

    assert seen == {"chatId": str(chat), "typists": [{"userId": str(ada.id), "displayName": "Ada"}], "count": 1}
    assert "typing.indicator" not in heard


async def test_hiding_typing_ends_shown_typing_for_user_and_device(pair: Pair) -> None:
    """F113: for the user and for one device, applied at once."""
    ada, bob = someone("Ada"), someone()
    chat, phone = direct(ada, bob), another_device(ada)
    async with connected(pair.one, ada) as a, connected(pair.one, phone) as p, connected(pair.other, bob) as b:
        await a.send("typing.start", {"chatId": str(chat)})
        await b.expect("typing.indicator", lambda payload: payload["active"])
        hidden = Api(pair.other, ada)(
            "PATCH", "me/privacy", {"deviceOverrides": {str(phone.device_id): {"showTyping": False}}}
        )
        assert hidden.status == 200
        await b.expect("typing.indicator", lambda payload: not payload["active"])
        other = group(ada, bob)
        await p.send("typing.start", {"chatId": str(other)})
        await p.call("sync.request", {"chats": {}})
        await a.say(chat)
        await b.expect("message.new")
        heard = [f["type"] for f in await b.settled()]

    assert "typing.indicator" not in heard
    assert privacy.get_device_settings(ada.id, phone.device_id).show_typing is False


async def test_member_removed_while_offline_cannot_type(pair: Pair) -> None:
    """A process without connections follows membership changes, too."""
    ada, bob = someone("Ada"), someone()
    chat = group(bob, ada)
    async with connected(pair.one, bob) as b:
        async with connected(pair.other, ada) as a:
            await a.send("typing.start", {"chatId": str(chat)})
            await b.expect("typing.indicator", lambda payload: payload["active"])
            await a.send("typing.stop", {"chatId": str(chat)})
            await b.expect("typing.indicator", lambda payload: not payload["active"])
        assert Api(pair.one, bob)("DELETE", f"conversations/{chat}/members/{ada.id}").status == 204
        await b.expect("chat.updated")
        async with connected(pair.other, ada) as a:
            await a.send("typing.start", {"chatId": str(chat)})
            refused = await a.expect("error")
            heard = [f["type"] for f in await b.settled()]

    assert refused["code"] == "NOT_A_MEMBER"
    assert "typing.indicator" not in heard
