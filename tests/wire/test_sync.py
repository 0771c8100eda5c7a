"""Sync over the socket: watermarks, pages, too large gaps, removed chats, hidden messages (protocol 2.4, 2.8)."""

import asyncio

import pytest

from accounts import blocks
from chat.conversations import members
from chat.models import Conversation
from gateway.ids import ConversationId
from tests.clients import Client, Frame, connected
from tests.factories import Someone, direct, group, say, someone
from tests.servers import Server


async def synced(client: Client, payload: Frame) -> Frame:
    """Sync and return the response; the ack comes after it."""
    id_ = await client.send("sync.request", payload)
    response = await client.expect("sync.response")
    assert (await client.ack(id_))["status"] == "ok"
    return response


def named(chat: int, seq: int = 0, rev: int = 0) -> Frame:
    return {"chats": {str(chat): {"seq": seq, "rev": rev}}}


def texts(chat: Frame) -> list[str]:
    return [message["content"] for message in chat["messages"]]


def chatty(one: Someone, other: Someone, count: int) -> int:
    chat = direct(one, other)
    for number in range(1, count + 1):
        say(one, chat, f"{number}")
    return chat


async def test_sync_returns_messages_above_the_watermark_and_a_new_watermark(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = chatty(ada, bob, 5)
    async with connected(server, bob) as client:
        first = (await synced(client, named(chat)))["chats"][0]
        part = (await synced(client, named(chat, 3, first["rev"] - 2)))["chats"][0]
        fresh = (await synced(client, named(chat, part["seq"], part["rev"])))["chats"][0]
    assert texts(first) == ["1", "2", "3", "4", "5"]
    assert (first["seq"], first["hasMore"], first["tooLarge"]) == (5, False, False)
    assert texts(part) == ["4", "5"]
    assert (part["seq"], part["rev"]) == (first["seq"], first["rev"])
    assert texts(fresh) == []


async def test_chat_missing_in_the_request_is_synced_from_its_start(server: Server) -> None:
    ada, bob = someone(), someone()
    one, other = chatty(ada, bob, 2), group(bob, ada)
    say(ada, other, "in the group")
    async with connected(server, bob) as client:
        response = await synced(client, {"chats": {}})
    assert {chat["chatId"]: texts(chat) for chat in response["chats"]} == {
        str(one): ["1", "2"],
        str(other): ["in the group"],
    }
    assert response["badges"] == {str(one): 2, str(other): 1}
    assert response["removed"] == []


async def test_sync_pages_continue_until_has_more_is_false(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = chatty(ada, bob, 10)
    seq, rev, pages = 0, 0, []
    async with connected(server, bob) as client:
        more = True
        while more:
            response = await synced(client, {**named(chat, seq, rev), "limit": 4})
            page = response["chats"][0]
            pages.append(texts(page))
            seq, rev, more = page["seq"], page["rev"], response["hasMore"]
            assert page["hasMore"] is more
    assert pages == [["1", "2", "3", "4"], ["5", "6", "7", "8"], ["9", "10"]]
    assert seq == 10


async def test_watermark_never_covers_unsent_messages(server: Server) -> None:
    """The seq of a partial page matches its last message, and live messages do not advance it."""
    ada, bob = someone(), someone()
    chat = chatty(ada, bob, 6)
    async with connected(server, bob) as b, connected(server, ada) as a:
        first = (await synced(b, {**named(chat), "limit": 3}))["chats"][0]
        await a.say(chat, "7")
        rest = (await synced(b, {**named(chat, first["seq"], first["rev"]), "limit": 100}))["chats"][0]
    assert (texts(first), first["seq"]) == (["1", "2", "3"], 3)
    assert texts(rest) == ["4", "5", "6", "7"]


async def test_more_than_500_missed_messages_are_too_large(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(server, ada) as a, connected(server, bob) as b:
        ids = [await a.send("message.send", {"chatId": str(chat), "content": f"{n}"}) for n in range(501)]
        for id_ in ids:
            await a.ack(id_)
        await b.news(501)
        large = (await synced(b, named(chat)))["chats"][0]
        most = (await synced(b, named(chat, 1, 1)))["chats"][0]
    assert (large["tooLarge"], large["messages"], large["seq"]) == (True, [], 501)
    assert (most["tooLarge"], len(most["messages"]), most["seq"]) == (False, 500, 501)


async def test_left_and_foreign_chats_are_reported_as_removed(server: Server) -> None:
    ada, bob, cay = someone(), someone(), someone()
    left, theirs, kept = group(ada, bob), direct(ada, cay), direct(ada, bob)
    say(ada, left, "before")
    say(ada, theirs, "private")
    members.remove(ada.id, left, bob.id)
    say(ada, left, "after")
    async with connected(server, bob) as client:
        payload = {"chats": {str(chat): {"seq": 0, "rev": 0} for chat in (left, theirs, kept, 1)}}
        response = await synced(client, payload)
    assert {chat["chatId"] for chat in response["chats"]} == {str(kept)}
    assert set(response["removed"]) == {str(left), str(theirs), "1"}


async def test_watermark_advances_past_hidden_messages(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(bob, chat, "hello")
    blocks.block(bob.id, ada.id)
    for _ in range(3):
        say(ada, chat, "unseen")
    async with connected(server, bob) as client:
        page = (await synced(client, named(chat)))["chats"][0]
        again = (await synced(client, named(chat, page["seq"], page["rev"])))["chats"]
    assert (texts(page), page["seq"]) == (["hello"], 4)
    assert [texts(chat) for chat in again] == [[]]


@pytest.mark.parametrize("shared", [True, False])
async def test_new_member_syncs_the_shared_history(server: Server, shared: bool) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, someone())
    Conversation.objects.filter(pk=chat).update(shares_history=shared)
    say(ada, chat, "before")
    members.add(ada.id, chat, bob.id)
    say(ada, chat, "welcome")
    async with connected(server, bob) as client:
        by_name = (await synced(client, named(chat)))["chats"][0]
        unnamed = (await synced(client, {"chats": {}}))["chats"][0]
    came = "Someone added Someone"
    expected = ["before", came, "welcome"] if shared else [came, "welcome"]
    assert (texts(by_name), by_name["seq"]) == (texts(unnamed), unnamed["seq"]) == (expected, 3)


async def test_watermark_above_the_last_seq_returns_no_messages(server: Server) -> None:
    """The server lost messages that the client has; epoch and CLOCK_AHEAD report it, sync does not."""
    ada, bob = someone(), someone()
    chat = chatty(ada, bob, 2)
    async with connected(server, bob) as client:
        response = await synced(client, named(chat, 1000, 1000))
        refused = await client.say(chat, "hm", lastSeenSeq=1000)
        ok = await client.say(chat, "hm", lastSeenSeq=2)
    assert [texts(chat) for chat in response["chats"]] == [[]]
    assert (refused["error"]["code"], refused["error"]["field"]) == ("CLOCK_AHEAD", "lastSeenSeq")
    assert (ok["status"], ok["seq"]) == ("ok", 3)


@pytest.mark.parametrize("type_", ["sync.request", "request-backfill"])
async def test_single_chat_is_synced_from_its_last_message(server: Server, type_: str) -> None:
    ada, bob = someone(), someone()
    chat, other = chatty(ada, bob, 1), group(ada, bob)
    last = say(ada, ConversationId(chat), "2")
    say(ada, ConversationId(chat), "3")
    foreign = say(ada, other, "elsewhere")
    async with connected(server, bob) as client:
        await client.send(type_, {"chatId": str(chat), "lastMessageId": str(last.id)})
        response = await client.expect("sync.response" if type_ == "sync.request" else "backfill-messages")
        wrong = await client.call(type_, {"chatId": str(chat), "lastMessageId": str(foreign.id)})
    assert [texts(chat) for chat in response["chats"]] == [["3"]]
    assert wrong["error"]["code"] == "NOT_FOUND"


async def test_sync_during_sends_misses_no_message(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(server, ada) as a, connected(server, bob) as b:

        async def talk() -> None:
            for number in range(100):
                await a.say(chat, f"{number}")

        talking = asyncio.create_task(talk())
        seen: set[int] = set()
        seq = rev = 0
        while not talking.done():
            page = (await synced(b, named(chat, seq, rev)))["chats"][0]
            new = [message["seq"] for message in page["messages"]]
            assert new == list(range(seq + 1, page["seq"] + 1))
            seen, seq, rev = seen | set(new), page["seq"], page["rev"]
        page = (await synced(b, named(chat, seq, rev)))["chats"][0]
        seen |= {message["seq"] for message in page["messages"]}
    assert seen == set(range(1, 101))


async def test_sync_includes_ticks_and_members(server: Server) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = chatty(ada, bob, 2)
    async with connected(server, bob) as b, connected(server, ada) as a:
        await b.send("message.delivered", {"chatId": str(chat), "seq": 2})
        await b.send("read.mark", {"chatId": str(chat), "seq": 1})
        await a.expect("read.receipt")
        page = (await synced(a, named(chat)))["chats"][0]
    assert [message["state"] for message in page["messages"]] == ["seen", "delivered"]
    assert {m["displayName"]: (m["deliveredSeq"], m["readSeq"]) for m in page["members"]} == {
        "Ada": (2, 2),
        "Bob": (2, 1),
    }
