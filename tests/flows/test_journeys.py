"""Whole journeys over the wire, from registration to the last frame."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from accounts import blocks
from gateway.ids import DeviceId, UserId
from tests.chat.rest import Api
from tests.clients import connected, opened
from tests.factories import Someone, another_device, direct, group, say, someone
from tests.servers import Server


def register(server: Server, name: str) -> Someone:
    """Register a user over REST."""
    body = {"email": f"{secrets.token_hex(8)}@example.org", "password": secrets.token_urlsafe(16), "displayName": name}
    made = Api(server).post("auth/register", body)
    assert made.status == 201, made
    return Someone(
        UserId(int(made.body["user"]["id"])), name, DeviceId(int(made.body["deviceId"])), made.body["access"]
    )


async def test_two_new_users_find_each_other_and_chat(server: Server) -> None:
    ada, bob = register(server, "Ada"), register(server, "Bob")
    api = Api(server, ada)
    ticket = api.post("auth/ws-ticket").body["ticket"]
    found = [p["id"] for p in api.get("users?q=Bob&limit=100").body["results"]]

    async with opened(server, f"?ticket={ticket}") as a, connected(server, bob) as b:
        assert (await a.expect("hello"))["userId"] == str(ada.id)
        chat = api.post("conversations", {"kind": "direct", "userId": str(bob.id)}).body["id"]
        created = await b.expect("chat.created")
        ack = await a.say(int(chat), "Good morning")
        heard = (await b.expect("message.new"))["message"]
        await b.send("message.delivered", {"chatId": chat, "seq": heard["seq"]})
        await b.send("typing.start", {"chatId": chat})
        typing = await a.expect("typing.indicator")
        answer = await b.say(int(chat), "Good morning, Ada", replyTo=heard["id"], lastSeenSeq=heard["seq"])
        stopped = await a.expect("typing.indicator")
        replied = (await a.expect("message.new"))["message"]
        await a.send("read.mark", {"chatId": chat, "messageId": replied["id"]})
        await b.expect("read.receipt")
        listed = api.get("conversations").body["results"]
        assert api.post("auth/logout").status == 204
        code = await a.closed()

    assert (created["chatId"], len(found)) == (chat, len(set(found)))
    assert (ack["seq"], answer["seq"]) == (1, 2)
    assert (typing["active"], stopped["active"]) == (True, False)
    assert replied["replyTo"] == {"id": heard["id"], "senderName": "Ada", "excerpt": "Good morning"}
    assert (listed[0]["lastMessage"]["content"], listed[0]["unreadCount"]) == ("Good morning, Ada", 0)
    assert code == 4401
    assert api.get("me").code == "UNAUTHORIZED"


async def test_client_clock_affects_neither_order_nor_times(server: Server) -> None:
    """F38, F39: a clock a year ahead, a year behind, or nonsense."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    ahead, behind = ((datetime.now(UTC) + timedelta(days=days)).isoformat() for days in (365, -365))
    sent = []

    async with connected(server, ada) as a:
        for clock in (ahead, behind, "yesterday"):
            id_ = await a.send("message.send", {"chatId": str(chat), "content": clock}, timestamp=clock)
            sent.append(await a.ack(id_))

    assert [ack["seq"] for ack in sent] == [1, 2, 3]
    times = [ack["createdAt"] for ack in sent]
    assert times == sorted(times)
    assert abs(datetime.fromisoformat(times[0]) - datetime.now(UTC)) < timedelta(minutes=1)
    page = Api(server, bob).get(f"conversations/{chat}/messages").body["results"]
    assert [m["content"] for m in page] == [ahead, behind, "yesterday"]


async def test_resent_message_is_stored_once_over_any_transport(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    client_id = str(uuid4())
    payload = {"chatId": str(chat), "content": "once"}

    async with connected(server, bob) as b:
        async with connected(server, ada) as a:
            await a.send("message.send", payload, id_=client_id)
            await b.expect("message.new")
        async with connected(server, another_device(ada)) as a:
            again = await a.call("message.send", payload, id_=client_id)
        rest = Api(server, ada).post("messages", {**payload, "tempId": client_id})
        later = [f for f in await b.settled() if f["type"] == "message.new"]

    assert (again["duplicate"], rest.status, rest.body["duplicate"]) == (True, 200, True)
    assert rest.body["message"]["id"] == again["messageId"]
    assert later == []


async def test_group_members_see_messages_of_their_intervals_only(server: Server) -> None:
    """Present members receive each message live, once, in one order; other users receive none."""
    ada, bob, cem = someone("Ada"), someone("Bob"), someone("Cem")
    chat = group(ada, bob)
    path = f"conversations/{chat}/members"
    as_ada = Api(server, ada)

    async with connected(server, ada) as a, connected(server, bob) as b, connected(server, cem) as c:
        await a.say(chat, "1")
        as_ada.post(path, {"userId": str(cem.id)})
        await c.expect("chat.created")
        await b.say(chat, "2")
        as_ada("DELETE", f"{path}/{bob.id}")
        await b.expect("chat.removed")
        await c.say(chat, "3")
        refused = await b.say(chat, "no more")
        await a.say(chat, "4")
        heard: dict[str, list[Any]] = {}
        for name, client, count in (("ada", a, 4), ("bob", b, 3), ("cem", c, 4)):
            heard[name] = [m["content"] for m in await client.news(count)]
            heard[name] += [
                f["payload"]["message"]["content"] for f in await client.settled() if f["type"] == "message.new"
            ]

    came, went = "Ada added Cem", "Ada removed Bob"
    assert heard == {"ada": [came, "2", went, "3"], "bob": ["1", came, went], "cem": [came, "2", went, "4"]}
    assert refused["error"]["code"] == "NOT_A_MEMBER"


async def test_reading_on_one_device_lowers_unread_on_all(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    desk = another_device(bob)
    for n in range(3):
        say(ada, chat, str(n))

    async with connected(server, bob) as phone, connected(server, desk) as screen:
        await phone.call("sync.request", {"chats": {}})
        before = (await phone.expect("sync.response"))["badges"]
        await phone.send("read.mark", {"chatId": str(chat), "seq": 2})
        receipt = await screen.expect("read.receipt")
        after = Api(server, desk).get("me/unread").body

    assert before == {str(chat): 3}
    assert receipt["receipts"][0]["seq"] == 2
    assert after == {"totalUnread": 1, "chats": {str(chat): 1}}


async def test_live_quote_of_a_blocked_author_is_hidden(server: Server) -> None:
    ada, bob, cem = someone("Ada"), someone("Bob"), someone("Cem")
    chat = group(ada, bob, cem)
    blocks.block(ada.id, bob.id)
    quoted = say(bob, chat, "you should not read this")

    async with connected(server, ada) as a, connected(server, bob) as b, connected(server, cem) as c:
        await c.say(chat, "what Bob says", replyTo=str(quoted.id))
        for_ada, for_bob = [
            (await client.expect("message.new", lambda p: p["message"]["sender"]["id"] == str(cem.id)))["message"]
            for client in (a, b)
        ]

    assert for_bob["replyTo"]["id"] == str(quoted.id)
    assert "you should not read this" not in str(for_ada)
    page = Api(server, bob).get(f"conversations/{chat}/messages").body["results"]
    assert page[-1]["replyTo"]["excerpt"] == "you should not read this"
