"""Malformed input gets the documented error; connection and data survive; on both servers."""

import json
from typing import Any
from uuid import uuid4

import pytest

from chat.models import Message
from tests.clients import Client, Frame, connected
from tests.factories import direct, group, say, someone
from tests.servers import Server

DEEP = 10_000
FRAME_LIMIT = 65_536
MALFORMED = {
    "nothing": "",
    "no JSON": "nonsense",
    "broken JSON": '{"type":"ping","payload":{}',
    "two values": '{"type":"ping"}{"type":"ping"}',
    "a list": "[]",
    "a number": "1",
    "null": "null",
    "a string": '"ping"',
    "no type": "{}",
    "a number for type": '{"type":1}',
    "null for type": '{"type":null}',
    "a list for id": '{"type":"ping","id":[]}',
    "a number for id": '{"type":"ping","id":7}',
    "an id too long": json.dumps({"type": "ping", "id": "x" * 65}),
    "NUL in the id": '{"type":"ping","id":"a\\u0000b"}',
    "a lone surrogate in the id": '{"type":"ping","id":"\\ud800"}',
    "a lone surrogate in the type": '{"type":"\\udc00"}',
    "a raw NUL": '{"type":"ping"\0}',
    "a raw control character": '{"type":"pi\nng"}',
    "a byte order mark": '\ufeff{"type":"ping"}',
    "NaN": '{"type":"ping","payload":NaN}',
    "single quotes": "{'type':'ping'}",
    "deep lists": "[" * DEEP,
    "deep lists in the payload": '{"type":"message.send","payload":' + "[" * DEEP + "]" * DEEP + "}",
    "deep objects in an unknown field": '{"type":"ping","x":' + '{"a":' * DEEP + "1" + "}" * DEEP + "}",
}


async def error_of(client: Client, text: str | bytes) -> Frame:
    """Send an unreadable frame. Return its only error, and check that the connection still works."""
    await client.send_raw(text)
    error = await client.expect("error")
    assert await client.settled() == []
    return error


# --- frames that cannot be read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
async def test_unreadable_frame_gets_an_error_and_keeps_the_connection(either_server: Server, text: str) -> None:
    async with connected(either_server, someone()) as client:
        error = await error_of(client, text)
    assert error["code"] == "BAD_FRAME"
    assert "refId" not in error
    assert "Traceback" not in error["message"]


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"chat.focus","id":"1","payload":{"chatId":' + "[" * DEEP + "]" * DEEP + "}}",
        '{"type":"chat.focus","id":"1","payload":{"chatId":null,"x":' + "[" * DEEP + "]" * DEEP + "}}",
    ],
    ids=["in a field", "in an unknown field"],
)
async def test_endlessly_nested_payload_gets_one_answer(either_server: Server, text: str) -> None:
    async with connected(either_server, someone()) as client:
        await client.send_raw(text)
        (answer,) = await client.settled()
    assert answer["type"] in ("ack", "error")
    assert (answer["payload"].get("error") or answer["payload"])["code"] in ("BAD_FRAME", "INVALID_PAYLOAD")


async def test_binary_frame_without_capability_is_refused(either_server: Server) -> None:
    async with connected(either_server, someone()) as client:
        for content in (b"\x01\x02\x03", b"", b'{"type":"ping"}'):
            await client.socket.send(content)
            assert (await client.expect("error"))["code"] == "BAD_FRAME"
        assert await client.settled() == []


async def test_invalid_utf8_closes_the_connection_as_rfc_6455_demands(either_server: Server) -> None:
    """RFC 6455 8.1: the WebSocket layer fails the connection with 1007 before the gateway sees the frame."""
    async with connected(either_server, someone()) as client:
        await client.send_raw(b'{"type":"ping","id":"\xff\xfe"}')
        assert await client.closed() == 1007


async def test_twentieth_malformed_frame_within_a_minute_closes_the_connection(either_server: Server) -> None:
    async with connected(either_server, someone()) as client:
        for _ in range(19):
            await client.send_raw("nonsense")
        errors = await client.settled()
        await client.send_raw("nonsense")
        assert await client.closed() == 4400
    assert [frame["payload"]["code"] for frame in errors + client.frames] == ["BAD_FRAME"] * 20


# --- sizes ------------------------------------------------------------------------------------------------------------


def padded(length: int) -> str:
    """Return a ping of so many bytes."""
    bare = json.dumps({"type": "ping", "x": ""})
    return json.dumps({"type": "ping", "x": "x" * (length - len(bare))})


async def test_frame_of_64_kib_is_accepted(either_server: Server) -> None:
    async with connected(either_server, someone()) as client:
        await client.send_raw(padded(FRAME_LIMIT))
        await client.expect("pong")
        await client.socket.send([padded(FRAME_LIMIT)[:1000], padded(FRAME_LIMIT)[1000:]])
        await client.expect("pong")


async def test_frame_above_64_kib_closes_the_connection(either_server: Server) -> None:
    async with connected(either_server, someone()) as client:
        await client.send_raw(padded(FRAME_LIMIT + 1))
        assert await client.closed() == 1009


async def test_fragments_above_64_kib_close_the_connection(either_server: Server) -> None:
    text = padded(FRAME_LIMIT + 1)
    async with connected(either_server, someone()) as client:
        await client.socket.send([text[:40_000], text[40_000:]])
        assert await client.closed() == 1009


@pytest.mark.parametrize("content", ["x" * 10_000, "🙂" * 8_192, "é" * 10_000, " x\n", "\u202e\ufeff", '"\\</script>'])
async def test_longest_and_unusual_texts_arrive_unchanged(either_server: Server, content: str) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(either_server, ada) as a, connected(either_server, bob) as b:
        assert (await a.say(chat, content))["status"] == "ok"
        (message,) = await b.news(1)
    assert message["content"] == content


@pytest.mark.parametrize("content", ["x" * 10_001, "🙂" * 8_193])
async def test_text_above_the_limit_is_refused(either_server: Server, content: str) -> None:
    ada, bob = someone(), someone()
    async with connected(either_server, ada) as client:
        ack = await client.say(direct(ada, bob), content)
    assert (ack["error"]["code"], ack["error"]["field"]) == ("CONTENT_TOO_LONG", "content")


async def test_mentions_up_to_the_limit_are_accepted_and_one_more_is_refused(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat, mentions = direct(ada, bob), [str(number) for number in range(1, 102)]
    async with connected(either_server, ada) as client:
        most = await client.say(chat, "hello", mentions=mentions[:100])
        more = await client.say(chat, "hello", mentions=mentions)
    assert most["status"] == "ok"
    assert (more["error"]["code"], more["error"]["field"]) == ("INVALID_PAYLOAD", "mentions")


# --- wrong fields -----------------------------------------------------------------------------------------------------

NO_TEXT: list[Any] = [None, 1, 1.5, True, [], {}]
NO_ID: list[Any] = [1, True, [], {}, "", "x", "-1", "1.0", " 1", "1 ", "٣", "12345678901234567890", "1\0"]
NO_SEQ: list[Any] = ["1", -1, 1.5, True, [], {}, 2**62 + 1, 2**63, 2**64, 1e300]
NO_WATERMARKS: list[Any] = [
    1,
    "x",
    [],
    {"x": {"seq": 1}},
    {"1": None},
    {"1": {}},
    {"1": {"seq": -1}},
    {"1": {"seq": "1"}},
]
WRONG: dict[str, dict[str, list[Any]]] = {
    "message.send": {
        "chatId": [None, *NO_ID],
        "content": [*NO_TEXT, "", "   ", "\n", "a\0b"],
        "contentType": [*NO_TEXT, "", "nonsense", "system"],
        "replyTo": NO_ID,
        "attachments": [None, 1, "x", {}, [1], [None]],
        "mentions": [None, 1, "x", {}, [1], [None], ["x"], ["-1"]],
        "priority": [*NO_TEXT, "", "high"],
        "lastSeenSeq": NO_SEQ,
    },
    "message.delivered": {"chatId": [None, *NO_ID], "seq": [None, *NO_SEQ]},
    "read.mark": {"chatId": [None, *NO_ID], "seq": NO_SEQ, "messageId": NO_ID},
    "typing.start": {"chatId": [None, *NO_ID]},
    "typing.stop": {"chatId": [None, *NO_ID]},
    "chat.focus": {"chatId": NO_ID},
    "sync.request": {
        "chats": NO_WATERMARKS, "chatId": NO_ID, "lastMessageId": NO_ID, "limit": ["1", 0, -1, 501, 1.5, True, 2**70],
    },
    "request-backfill": {"chatId": NO_ID, "lastMessageId": NO_ID},
    "message.edit": {
        "messageId": [None, *NO_ID], "content": NO_TEXT, "version": ["1", 1.5],
        "mentions": [1, "x", {}, [1], ["x"]],
    },
    "message.delete": {"messageId": [None, *NO_ID], "scope": [*NO_TEXT, "", "all"]},
    "message.react": {"messageId": [None, *NO_ID], "emoji": [*NO_TEXT, "", "x", "ab"], "action": [*NO_TEXT, "", "toggle"]},
    "poll.vote": {"messageId": [None, *NO_ID], "options": [None, 1, "x", {}, ["x"], [None]]},
    "poll.close": {"messageId": [None, *NO_ID]},
    "presence.update": {"status": [*NO_TEXT, "", "asleep"]},
    "presence.subscribe": {"userIds": [None, 1, "x", {}, [1], ["x"], [None]]},
    "presence.unsubscribe": {"userIds": [None, 1, "x", {}, [1], ["x"], [None]]},
    "auth.renew": {"token": NO_TEXT},
}  # fmt: skip
UNACKED = ("message.delivered", "read.mark", "typing.start", "typing.stop")


# What stands beside a wrong field where that alone is no payload.
BESIDE: dict[str, Frame] = {
    "message.edit": {"messageId": "1", "content": "never stored"},
    "message.delete": {"messageId": "1"},
    "message.react": {"messageId": "1", "emoji": "👍", "action": "add"},
    "poll.vote": {"messageId": "1", "options": [0]},
    "poll.close": {"messageId": "1"},
    "presence.update": {"status": "dnd"},
    "presence.subscribe": {"userIds": ["1"]},
    "presence.unsubscribe": {"userIds": ["1"]},
    "auth.renew": {"token": "x"},
}


def whole(type_: str, chat: int) -> Frame:
    """Return a valid payload, in which a test replaces one field."""
    payload: Frame = {"chatId": str(chat)}
    if type_ == "message.send":
        payload["content"] = "never stored"
    elif type_ in ("message.delivered", "read.mark"):
        payload["seq"] = 1
    return BESIDE.get(type_, payload)


@pytest.mark.parametrize(("type_", "field"), [(type_, field) for type_, fields in WRONG.items() for field in fields])
async def test_error_names_the_wrong_field(either_server: Server, type_: str, field: str) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(either_server, ada) as client:
        for value in WRONG[type_][field]:
            id_ = await client.send(type_, {**whole(type_, chat), field: value})
            (answer,) = await client.settled()
            assert answer["type"] == ("error" if type_ in UNACKED else "ack"), value
            assert answer["payload"]["refId"] == id_
            error = answer["payload"].get("error") or answer["payload"]
            assert error["code"] == "INVALID_PAYLOAD", value
            assert error["field"].split(".")[0] == field, value
    assert not Message.objects.filter(conversation_id=chat).exists()


@pytest.mark.parametrize("payload", [None, [], 1, "x", True])
async def test_payload_that_is_not_an_object_is_refused(either_server: Server, payload: Any) -> None:
    async with connected(either_server, someone()) as client:
        for type_ in WRONG:
            await client.send(type_, payload)
            (answer,) = await client.settled()
            error = answer["payload"].get("error") or answer["payload"]
            assert error["code"] == "INVALID_PAYLOAD", type_


@pytest.mark.parametrize("content", ["\\ud800", "\\udc00\\ud800", "a\\ud83d", "\\u0000"])
async def test_lone_surrogate_or_nul_in_text_is_refused(either_server: Server, content: str) -> None:
    ada, bob = someone(), someone()
    chat, id_ = direct(ada, bob), str(uuid4())
    frame = '{"type":"message.send","id":"%s","payload":{"chatId":"%d","content":"%s"}}' % (id_, chat, content)  # noqa: UP031
    async with connected(either_server, ada) as client:
        await client.send_raw(frame)
        (answer,) = await client.settled()
    error = answer["payload"].get("error") or answer["payload"]
    assert error["code"] in ("BAD_FRAME", "INVALID_PAYLOAD")
    assert not Message.objects.filter(conversation_id=chat).exists()


@pytest.mark.parametrize("id_", ["1", "x" * 64, "not-a-uuid", "6d8b5cf4-5f6e-4c4e-8bb5-0d7d2bb0a7a", ""])
async def test_message_id_that_is_not_a_uuid_is_refused(either_server: Server, id_: str) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    frame = {"type": "message.send", "id": id_, "payload": {"chatId": str(chat), "content": "hello"}}
    async with connected(either_server, ada) as client:
        await client.send_raw(json.dumps(frame))
        (answer,) = await client.settled()
    assert answer["payload"]["refId"] == id_
    assert (answer["payload"]["error"]["code"], answer["payload"]["error"]["field"]) == ("INVALID_PAYLOAD", "id")


async def test_message_without_id_is_refused(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(either_server, ada) as client:
        await client.send_raw(json.dumps({"type": "message.send", "payload": {"chatId": str(chat), "content": "x"}}))
        (answer,) = await client.settled()
    assert answer["payload"]["error"]["code"] == "INVALID_PAYLOAD"
    assert not Message.objects.filter(conversation_id=chat).exists()


# --- unknown ids and ids of others ------------------------------------------------------------------------------------


@pytest.mark.parametrize("unknown", ["1", "9223372036854775807", "9223372036854775808", "0", "0000000000000000001"])
async def test_unknown_chat_and_foreign_chat_get_the_same_refusal(either_server: Server, unknown: str) -> None:
    ada, bob, eve = someone(), someone(), someone()
    theirs = direct(ada, bob)
    said = say(ada, theirs, "private")
    async with connected(either_server, eve) as client:
        refusals = []
        for chat in (str(theirs), unknown):
            sent = await client.call("message.send", {"chatId": chat, "content": "hello"})
            one = await client.call("sync.request", {"chatId": chat})
            await client.send("read.mark", {"chatId": chat, "seq": 1})
            by_seq = await client.expect("error")
            await client.send("read.mark", {"chatId": chat, "messageId": str(said.id)})
            by_id = await client.expect("error")
            refusals.append([sent["error"], one["error"], *({**e, "refId": ""} for e in (by_seq, by_id))])
            await client.send("typing.start", {"chatId": chat})
        assert [f for f in await client.settled() if f["type"] not in ("error",)] == []
    assert {error["code"] for error in refusals[0] + refusals[1]} <= {"NOT_A_MEMBER", "NOT_FOUND"}
    if int(unknown) < 2**63:
        assert refusals[0] == refusals[1]
    assert Message.objects.filter(conversation_id=theirs).count() == 1


async def test_reply_to_message_of_another_chat_is_refused_as_unknown(either_server: Server) -> None:
    ada, bob, eve = someone(), someone(), someone()
    theirs = say(ada, direct(ada, bob), "private")
    chat = direct(eve, bob)
    async with connected(either_server, eve) as client:
        foreign = await client.say(chat, "what?", replyTo=str(theirs.id))
        unknown = await client.say(chat, "what?", replyTo="1")
    assert foreign["error"]["code"] == "NOT_FOUND"
    assert foreign["error"] == unknown["error"]
    assert not Message.objects.filter(conversation_id=chat).exists()


async def test_mark_with_message_of_another_chat_is_refused(either_server: Server) -> None:
    ada, bob, eve = someone(), someone(), someone()
    mine, other = group(ada, bob, eve), direct(ada, bob)
    foreign = say(ada, other, "elsewhere")
    say(ada, mine, "here")
    async with connected(either_server, eve) as e, connected(either_server, ada) as a:
        id_ = await e.send("read.mark", {"chatId": str(mine), "messageId": str(foreign.id)})
        error = await e.expect("error")
        assert (error["code"], error["refId"]) == ("NOT_FOUND", id_)
        assert [frame for frame in await a.settled() if frame["type"] == "read.receipt"] == []


async def test_mark_above_the_last_seq_counts_as_the_last_seq(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(either_server, ada) as a, connected(either_server, bob) as b:
        await a.say(chat)
        await b.send("read.mark", {"chatId": str(chat), "seq": 2**62})
        receipt = await a.expect("read.receipt")
    assert receipt["receipts"][0]["seq"] == 1
