"""Indicators as bytes on real sockets, on both servers (F125, protocol 2.5): negotiation, both directions, errors."""

import pytest

from chat.conversations import members
from chat.models import Member
from gateway.indicators import ACTIVE, DELIVERED, SEEN, TYPING, USER, number
from tests.clients import Client, connected
from tests.factories import another_device, direct, group, say, say_many, someone
from tests.receipts.test_fanout import receipts_in
from tests.servers import Server

COMPACT = "?compact=1"
JSON_INDICATORS = {"typing.indicator", "delivery.receipt", "read.receipt"}


def told(state: int, alias: int, *numbers: int) -> bytes:
    """Return an indicator as a client encodes it."""
    return bytes((state,)) + b"".join(number(value) for value in (alias, *numbers))


def from_server(state: int, alias: int, person: int, chat: int, *seq: int) -> bytes:
    """Return an indicator as the server encodes it, with the member's number."""
    n = Member.objects.get(conversation_id=chat, user_id=person, left_seq=None).n
    return told(state | USER, alias, *seq, n)


def alias_of(client: Client, chat: int) -> int:
    alias: int = client.hello["aliases"][str(chat)]
    return alias


async def test_compact_client_gets_an_alias_for_each_chat(either_server: Server) -> None:
    ada, bob, cem = someone(), someone(), someone()
    one, other = direct(ada, bob), group(ada, bob, cem)
    say(ada, one)

    async with (
        connected(either_server, ada, COMPACT) as compact,
        connected(either_server, another_device(ada)) as plain,
    ):
        assert compact.hello["aliases"] == {str(one): 1, str(other): 2}, "the liveliest chat has the shortest alias"
    assert "compact-indicators" in compact.hello["capabilities"] and "compact-indicators" in plain.hello["capabilities"]
    assert "aliases" not in plain.hello


async def test_typing_delivered_and_seen_travel_as_bytes_in_both_directions(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(ada, chat)

    async with connected(either_server, ada, COMPACT) as a, connected(either_server, bob, COMPACT) as b:
        to, at = alias_of(b, chat), alias_of(a, chat)
        for mine, theirs in (
            (told(TYPING | ACTIVE, to), from_server(TYPING | ACTIVE, at, bob.id, chat)),
            (told(TYPING, to), from_server(TYPING, at, bob.id, chat)),
            (told(DELIVERED, to, 1), from_server(DELIVERED, at, bob.id, chat, 1)),
            (told(SEEN, to, 1), from_server(SEEN, at, bob.id, chat, 1)),
        ):
            await b.socket.send(mine)
            assert await a.expect_bytes() == theirs
        others = [f["type"] for client in (a, b) for f in await client.settled()]
    assert JSON_INDICATORS.isdisjoint(others)


async def test_compact_and_text_clients_understand_each_other(either_server: Server) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = direct(ada, bob)
    stored = say_many(ada, chat, 2)

    async with connected(either_server, ada) as a, connected(either_server, bob, COMPACT) as b:
        alias = alias_of(b, chat)
        await b.socket.send(told(TYPING | ACTIVE, alias) + told(DELIVERED, alias, 1) + told(SEEN, alias, 2))
        typing = await a.expect("typing.indicator")
        seen = await a.expect("read.receipt")
        await a.send("typing.start", {"chatId": str(chat)})
        answered = await b.expect_bytes(lambda content: content[0] & TYPING)

    assert (typing["userId"], typing["displayName"], typing["active"]) == (str(bob.id), "Bob", True)
    assert seen == {
        "chatId": str(chat),
        "receipts": [{"userId": str(bob.id), "messageId": str(stored[1].id), "seq": 2}],
    }
    assert answered == from_server(TYPING | ACTIVE, alias, ada.id, chat)


async def test_new_chat_frame_carries_its_alias(either_server: Server) -> None:
    ada, bob = someone(), someone()

    async with connected(either_server, ada, COMPACT) as a, connected(either_server, bob) as b:
        chat = group(bob, ada, name="new")
        created = await a.expect("chat.created", lambda payload: payload["chatId"] == str(chat))
        plain = await b.expect("chat.created", lambda payload: payload["chatId"] == str(chat))
        await a.socket.send(told(TYPING | ACTIVE, created["alias"]))
        await b.expect("typing.indicator")
        members.remove(bob.id, chat, ada.id)
        await a.expect("chat.removed")
        members.add(bob.id, chat, ada.id)
        again = await a.expect("chat.created", lambda payload: payload["chatId"] == str(chat))

    assert created["alias"] == again["alias"] == len(a.hello["aliases"]) + 1
    assert "alias" not in plain


@pytest.mark.parametrize(
    "content",
    [
        b"",
        told(0x40 | DELIVERED, 1, 1),
        told(0x80 | DELIVERED, 1, 1),
        told(DELIVERED, 1),
        bytes((DELIVERED, 0x81)),
        bytes((DELIVERED, 1, 0x81, 0)),
        told(DELIVERED, 1, 2**62 + 1),
        bytes((DELIVERED, 1)) + b"\xff" * 12,
        told(DELIVERED, 0, 1),
        told(DELIVERED, 2, 1),
        told(DELIVERED, 2**40, 1),
        told(2, 1, 1),
        told(USER, 1, 1),
        told(DELIVERED, 1, 1) + b"\xff",
        b'{"type":"ping"}',
        bytes(60_000),
        told(DELIVERED, 1, 1) * 400,
    ],
    ids=lambda content: content[:8].hex() or "empty",
)
async def test_unreadable_binary_frame_gets_an_error_and_has_no_effect(either_server: Server, content: bytes) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(ada, chat)
    async with connected(either_server, bob, COMPACT) as b:
        await b.socket.send(content)
        error = await b.expect("error")
        assert (await b.settled(), error["code"], "refId" in error) == ([], "BAD_FRAME", False)
    assert Member.objects.get(conversation_id=chat, user_id=bob.id).delivered_seq == 0


async def test_twentieth_unreadable_binary_frame_closes_the_connection(either_server: Server) -> None:
    async with connected(either_server, someone(), COMPACT) as client:
        for _ in range(20):
            await client.socket.send(b"\xff")
        assert await client.closed() == 4400


async def test_mark_in_a_left_chat_is_refused_and_keeps_the_connection(either_server: Server) -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat, other = group(ada, bob, cem), direct(ada, bob)
    say(ada, chat)
    say(ada, other)
    async with connected(either_server, ada) as a, connected(either_server, bob, COMPACT) as b:
        members.remove(ada.id, chat, bob.id)
        await b.expect("chat.removed")
        await b.socket.send(told(SEEN, alias_of(b, chat), 1) + told(SEEN, alias_of(b, other), 1))
        error = await b.expect("error")
        receipt = await a.expect("read.receipt")
    assert (error["code"], "refId" in error) == ("NOT_A_MEMBER", False)
    assert receipt["chatId"] == str(other)


async def test_binary_frame_cannot_act_for_another_member(either_server: Server) -> None:
    """The member number in a client's indicator is ignored: the mark is its own user's."""
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    say(ada, chat)
    async with connected(either_server, ada) as a, connected(either_server, bob, COMPACT) as b:
        await b.socket.send(told(SEEN | USER, alias_of(b, chat), 1, 3))
        await a.expect("read.receipt")
    assert dict(Member.objects.filter(conversation_id=chat).values_list("user_id", "read_seq"))[cem.id] == 0


async def test_many_marks_become_one_frame_with_the_highest(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 30)
    async with connected(either_server, ada) as a, connected(either_server, bob, COMPACT) as b:
        await b.socket.send(b"".join(told(SEEN, alias_of(b, chat), seq) for seq in (*range(1, 31), 7)))
        await a.expect("read.receipt", lambda payload: payload["receipts"][0]["seq"] == 30)
        assert receipts_in(a.frames, "read.receipt") == []


async def test_resumed_connection_is_compact_only_if_requested(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(ada, chat)
    async with connected(server, ada, COMPACT) as first:
        token = first.hello["resumeToken"]
    async with connected(server, ada, f"{COMPACT}&resume={token}") as again, connected(server, bob) as b:
        assert again.hello["resumed"] is True
        await b.send("read.mark", {"chatId": str(chat), "seq": 1})
        assert await again.expect_bytes() == from_server(SEEN, alias_of(again, chat), bob.id, chat, 1)
