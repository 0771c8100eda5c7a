"""Answers to frames (protocol 2): one ack for each acked frame, none for others, errors with a refId."""

import re
from typing import Any
from uuid import uuid4

import pytest

from config.frames import ALIASES, FRAMES
from tests.clients import MOMENT, Frame, connected
from tests.factories import direct, draft, say, someone, store
from tests.servers import Server

POLL = {"question": "When?", "options": ["now", "later"]}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def good_payload(type_: str, chat: int, *, message: int, poll: int, other: int) -> Frame:
    """Return a payload that succeeds for the author of `message` and `poll` in a chat with `other`."""
    payloads: dict[str, Frame] = {
        "message.send": {"chatId": str(chat), "content": "hello"},
        "message.delivered": {"chatId": str(chat), "seq": 1},
        "read.mark": {"chatId": str(chat), "seq": 1},
        "typing.start": {"chatId": str(chat)},
        "typing.stop": {"chatId": str(chat)},
        "chat.focus": {"chatId": str(chat)},
        "sync.request": {"chats": {str(chat): {"seq": 0, "rev": 0}}},
        "request-backfill": {"chatId": str(chat)},
        "message.edit": {"messageId": str(message), "content": "hello again"},
        "message.delete": {"messageId": str(message)},
        "message.react": {"messageId": str(message), "emoji": "👍", "action": "add"},
        "poll.vote": {"messageId": str(poll), "options": [0]},
        "poll.close": {"messageId": str(poll)},
        "presence.update": {"status": "dnd"},
        "presence.subscribe": {"userIds": [str(other)]},
        "presence.unsubscribe": {"userIds": [str(other)]},
    }
    return payloads.get(ALIASES.get(type_, type_), {})


@pytest.mark.parametrize("type_", [*FRAMES, *ALIASES])
async def test_acked_frames_get_one_ack_and_others_none(either_server: Server, type_: str) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    said = say(ada, chat)
    (poll,) = store([draft(ada, chat, "", content_type="poll", data=POLL)])
    payload = good_payload(type_, chat, message=said.id, poll=poll.id, other=bob.id)
    assert payload, f"add a payload of {type_} to good_payload"

    async with connected(either_server, ada) as client:
        id_ = await client.send(type_, payload)
        if FRAMES[ALIASES.get(type_, type_)].acked:
            ack = await client.expect_frame("ack")
            assert (ack["payload"]["refId"], ack["payload"]["status"]) == (id_, "ok")
        later = await client.settled()

    assert [frame for frame in later if frame["type"] in ("ack", "error")] == []


async def test_server_frame_is_an_envelope_with_its_own_id_and_time(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(either_server, ada) as a, connected(either_server, bob) as b:
        await a.say(chat)
        await a.send("ping", {})
        frames = [await b.expect_frame("message.new"), await a.expect_frame("pong")]
    assert len({frame["id"] for frame in frames}) == 2
    for frame in frames:
        assert set(frame) == {"type", "id", "timestamp", "payload"}
        assert MOMENT.fullmatch(frame["timestamp"])


async def test_ping_gets_a_pong_and_no_ack(either_server: Server) -> None:
    async with connected(either_server, someone()) as client:
        await client.send("ping", {})
        assert await client.expect("pong") == {}
        assert await client.settled() == []


async def test_ping_without_id_and_payload_is_answered(either_server: Server) -> None:
    async with connected(either_server, someone()) as client:
        await client.send_raw('{"type":"ping"}')
        assert await client.expect("pong") == {}


async def test_unknown_type_gets_an_error_with_ref_id(either_server: Server) -> None:
    async with connected(either_server, someone()) as client:
        id_ = await client.send("message.sing", {"chatId": "1"})
        error = await client.expect("error")
        assert (error["code"], error["refId"]) == ("UNKNOWN_TYPE", id_)
        assert await client.settled() == []


async def test_refused_acked_frame_gets_an_error_ack(either_server: Server) -> None:
    async with connected(either_server, someone()) as client:
        ack = await client.call("message.send", {"chatId": "1", "content": "hello"})
        assert set(ack) == {"refId", "status", "error"}
        assert (ack["status"], ack["error"]["code"]) == ("error", "NOT_A_MEMBER")
        assert ack["error"]["message"]
        assert await client.settled() == []


@pytest.mark.parametrize("type_", ["message.delivered", "read.mark"])
async def test_refused_mark_gets_an_error_frame_with_ref_id(either_server: Server, type_: str) -> None:
    async with connected(either_server, someone()) as client:
        id_ = await client.send(type_, {"chatId": "1", "seq": 1})
        error = await client.expect("error")
        assert (error["code"], error["refId"]) == ("NOT_A_MEMBER", id_)


async def test_message_ack_has_the_fields_of_the_protocol(either_server: Server) -> None:
    ada, bob = someone(), someone()
    async with connected(either_server, ada) as client:
        ack = await client.say(direct(ada, bob))
    assert set(ack) == {"refId", "status", "messageId", "seq", "rev", "createdAt", "duplicate"}
    assert MOMENT.fullmatch(ack["createdAt"])
    assert re.fullmatch(r"\d+", ack["messageId"])


async def test_unknown_fields_of_envelope_and_payload_are_ignored(either_server: Server) -> None:
    ada, bob = someone(), someone()
    async with connected(either_server, ada) as client:
        payload = {"chatId": str(direct(ada, bob)), "content": "hello", "colour": {"deep": [1]}}
        id_ = await client.send("message.send", payload, sparkle=True, timestamp="2026-01-01T00:00:00.000Z")
        assert (await client.ack(id_))["status"] == "ok"


async def test_frames_of_a_connection_take_effect_in_order(either_server: Server) -> None:
    """A sync right after ten sends returns all ten, and its ack comes last."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(either_server, ada) as client:
        sent = [await client.send("message.send", {"chatId": str(chat), "content": f"{n}"}) for n in range(10)]
        sync = await client.send("sync.request", {"chats": {str(chat): {"seq": 0, "rev": 0}}})
        response = await client.expect("sync.response")
        await client.ack(sync)
    assert [message["content"] for message in response["chats"][0]["messages"]] == [f"{n}" for n in range(10)]
    assert [frame["payload"]["refId"] for frame in client.frames if frame["type"] == "ack"] == sent


async def test_pipelined_sends_are_stored_and_acked_in_order(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(either_server, ada) as a, connected(either_server, bob) as b:
        sent = [await a.send("message.send", {"chatId": str(chat), "content": f"{n}"}) for n in range(200)]
        acks = [await a.expect("ack") for _ in sent]
        news = await b.news(200)
    assert [ack["refId"] for ack in acks] == sent
    assert [ack["seq"] for ack in acks] == list(range(1, 201))
    assert [message["content"] for message in news] == [f"{n}" for n in range(200)]


async def test_trace_context_reaches_the_recipients(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(either_server, ada) as a, connected(either_server, bob) as b:
        await a.send("message.send", {"chatId": str(chat), "content": "traced"}, traceparent=TRACE)
        wrong = ["00-nonsense", f"00-{'0' * 32}-{TRACE[36:]}", f"{TRACE[:36]}{'0' * 16}-01", TRACE.upper()]
        for trace in wrong:
            await a.send("message.send", {"chatId": str(chat), "content": "broken"}, traceparent=trace)
        traced, *broken = [await b.expect_frame("message.new") for _ in range(1 + len(wrong))]
    assert traced["traceparent"] == TRACE
    assert [frame for frame in broken if "traceparent" in frame] == []


@pytest.mark.parametrize(
    ("alias", "payload", "answer"),
    [("request-backfill", {"limit": 5}, "backfill-messages"), ("sync.request", {"limit": 5}, "sync.response")],
)
async def test_legacy_backfill_is_answered_under_its_legacy_name(
    either_server: Server, alias: str, payload: Any, answer: str
) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(bob, chat, "earlier")
    async with connected(either_server, ada) as client:
        id_ = await client.send(alias, {"chatId": str(chat), **payload})
        response = await client.expect(answer)
        await client.ack(id_)
    assert [message["content"] for message in response["chats"][0]["messages"]] == ["earlier"]


async def test_message_reaches_senders_other_devices_but_not_the_sending_connection(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(either_server, ada) as one, connected(either_server, ada) as other:
        ack = await one.say(chat, "from one", clientNote="x")
        new = (await other.expect("message.new"))["message"]
        assert await one.settled() == []
    assert (new["id"], new["state"]) == (ack["messageId"], "sent")


async def test_only_the_sender_gets_a_message_state(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(either_server, ada) as a, connected(either_server, bob) as b:
        id_ = str(uuid4())
        await a.call("message.send", {"chatId": str(chat), "content": "hello"}, id_=id_)
        (new,) = await b.news(1)
    assert "state" not in new
    assert new["clientId"] == id_
