"""Resuming within the window: missed events are replayed, focus is restored, each token works once (protocol 2.8)."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from accounts import blocks
from chat.conversations import members
from gateway.connection_registry import Resume
from gateway.redis_clients import thread_client
from tests.clients import Client, Frame, bearer, connected, opened, until
from tests.factories import Someone, another_device, direct, group, say, someone
from tests.servers import Server
from tests.wire.conftest import Two


async def left(server: Server, person: Someone, *, focus: int | None = None) -> str:
    """Connect, set the focus, and disconnect. Return the resume token."""
    async with connected(server, person) as client:
        token = str(client.hello["resumeToken"])
        if focus is not None:
            assert (await client.call("chat.focus", {"chatId": str(focus)}))["status"] == "ok"
    return token


def contents(frames: list[Frame]) -> list[str]:
    return [frame["payload"]["message"]["content"] for frame in frames if frame["type"] == "message.new"]


async def test_missed_events_are_replayed_in_order_after_hello(either_server: Server) -> None:
    ada, bob = someone(), someone()
    one, other = direct(ada, bob), direct(someone(), bob)
    token = await left(either_server, bob)
    for number in range(5):
        say(ada, one, f"{number}")

    async with connected(either_server, bob, f"?resume={token}") as client:
        replayed = await client.settled()

    assert client.hello["resumed"] is True
    assert contents(replayed) == [f"{number}" for number in range(5)]
    assert {frame["payload"]["chatId"] for frame in replayed} == {str(one)} != {str(other)}


async def test_invisible_events_are_not_replayed(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(bob.id, ada.id)
    token = await left(either_server, bob)
    say(ada, chat, "unseen")
    async with connected(either_server, bob, f"?resume={token}") as client:
        assert contents(await client.settled()) == []


async def test_chat_left_while_offline_is_removed_by_the_replay(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    token = await left(either_server, bob)
    members.remove(ada.id, chat, bob.id)
    async with connected(either_server, bob, f"?resume={token}") as client:
        assert (await client.expect("chat.removed"))["chatId"] == str(chat)


async def test_resume_restores_the_focus(either_server: Server) -> None:
    """The focus is visible only in the next resume record."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    token = await left(either_server, bob, focus=chat)
    async with connected(either_server, bob, f"?resume={token}") as client:
        token = client.hello["resumeToken"]
    assert (await saved(token)).focus == chat


async def saved(token: str) -> Resume:
    """Return the resume record of a token, once it has the focus at the end of its connection."""
    await until(lambda: record_of(token).focus is not None)
    return record_of(token)


def record_of(token: str) -> Resume:
    raw: Any = thread_client().get(f"resume:{token}")
    return msgspec.msgpack.decode(raw, type=Resume)


async def test_connection_still_open_on_the_server_is_resumed(either_server: Server) -> None:
    bob = someone()
    async with (
        connected(either_server, bob) as half_open,
        connected(either_server, bob, f"?resume={half_open.hello['resumeToken']}") as client,
    ):
        assert client.hello["resumed"] is True


async def test_connection_is_resumed_in_another_process(two: Two) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    token = await left(two.one, bob)
    say(ada, chat, "missed")
    async with connected(two.other, bob, f"?resume={token}") as client:
        assert client.hello["resumed"] is True
        assert contents(await client.settled()) == ["missed"]


async def test_resume_token_works_once_and_is_replaced(either_server: Server) -> None:
    bob = someone()
    token = await left(either_server, bob)
    async with connected(either_server, bob, f"?resume={token}") as first:
        pass
    async with connected(either_server, bob, f"?resume={token}") as second:
        pass
    assert (first.hello["resumed"], second.hello["resumed"]) == (True, False)
    assert len({token, first.hello["resumeToken"], second.hello["resumeToken"]}) == 3


async def test_redeemed_resume_token_stays_redeemed_after_its_connection_closes(either_server: Server) -> None:
    bob = someone()
    async with connected(either_server, bob) as half_open:
        token = half_open.hello["resumeToken"]
        async with connected(either_server, bob, f"?resume={token}") as first:
            assert first.hello["resumed"] is True
    async with connected(either_server, bob) as probe:
        await probe.settled()
    async with connected(either_server, bob, f"?resume={token}") as again:
        assert again.hello["resumed"] is False


@pytest.mark.parametrize("whose", ["another user", "another device", "nobody"])
async def test_resume_token_of_another_user_is_ignored(either_server: Server, whose: str) -> None:
    bob = someone()
    tokens = {"another user": someone(), "another device": another_device(bob)}
    token = await left(either_server, tokens[whose]) if whose in tokens else "nonsense"
    async with connected(either_server, bob, f"?resume={token}") as client:
        assert client.hello["resumed"] is False
        assert await client.settled() == []


async def test_resume_window_is_as_long_as_hello_says(either_server: Server) -> None:
    bob = someone()
    async with connected(either_server, bob) as client:
        token, window = client.hello["resumeToken"], client.hello["resumeWindow"]
    await until(lambda: window - 5 < int(thread_client().ttl(f"resume:{token}")) <= window)


async def test_expired_resume_token_is_ignored(either_server: Server) -> None:
    bob = someone()
    token = await left(either_server, bob)
    thread_client().delete(f"resume:{token}")
    async with connected(either_server, bob, f"?resume={token}") as client:
        assert client.hello["resumed"] is False


async def test_replay_above_the_limit_is_left_to_sync(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    token = await left(either_server, bob)
    async with connected(either_server, ada) as client:
        for number in range(501):
            await client.send("message.send", {"chatId": str(chat), "content": f"{number}"})
        for _ in range(501):
            assert (await client.expect("ack"))["status"] == "ok"
    async with connected(either_server, bob, f"?resume={token}") as back:
        assert back.hello["resumed"] is False
        assert contents(await back.settled()) == []


# --- hello is the first frame, and no live frame is missed after it ---------------------------------------------------


async def chatter(client: Client, chat: int, stop: asyncio.Event) -> int:
    """Send messages one after the other, each after the ack of the last. Return their number."""
    said = 0
    while not stop.is_set():
        assert (await client.say(chat, f"{said}"))["status"] == "ok"
        said += 1
    return said


async def test_hello_comes_before_concurrent_messages(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat, stop = direct(ada, bob), asyncio.Event()
    async with connected(either_server, ada) as a:
        talking = asyncio.create_task(chatter(a, chat, stop))
        firsts = []
        for _ in range(20):
            async with opened(either_server, headers=bearer(bob.access)) as client:
                await client.expect("message.new")
                firsts.append(client.frames[0]["type"] if client.frames else "message.new")
        stop.set()
        await talking
    assert firsts == ["hello"] * 20


async def test_resumed_connection_misses_no_concurrent_message(either_server: Server) -> None:
    """Replay and live events overlap; together they have no gap."""
    ada, bob = someone(), someone()
    chat, stop = direct(ada, bob), asyncio.Event()
    seen: set[int] = set()
    async with connected(either_server, ada) as a:
        token = await left(either_server, bob)
        talking = asyncio.create_task(chatter(a, chat, stop))
        for _ in range(20):
            async with connected(either_server, bob, f"?resume={token}") as client:
                assert client.hello["resumed"] is True
                token = client.hello["resumeToken"]
                new = await client.expect("message.new")
                seen |= {
                    frame["payload"]["message"]["seq"]
                    for frame in await client.settled()
                    if "message" in frame["payload"]
                }
                seen.add(new["message"]["seq"])
        stop.set()
        said = await talking
    newest = max(seen)
    assert newest <= said
    assert seen == set(range(1, newest + 1))


async def test_resume_record_has_the_last_sign_of_life(either_server: Server) -> None:
    ada, bob = someone(), someone()
    before = time.time()
    token = await left(either_server, bob, focus=direct(ada, bob))
    assert before - 1 <= (await saved(token)).since <= time.time() + 1
