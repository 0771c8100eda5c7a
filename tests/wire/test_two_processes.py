"""Two processes on one database and one Redis: each message once, in one order, to its receivers and nobody else."""

import asyncio
from uuid import uuid4

from django.conf import settings

from accounts import blocks
from chat.conversations import members
from chat.models import Member, Message
from tests.chat.rest import Api
from tests.clients import Client, Frame, connected
from tests.factories import direct, group, someone
from tests.servers import serve
from tests.wire.conftest import Two

MANY = 150


async def pipeline(client: Client, chat: int, prefix: str, count: int) -> list[Frame]:
    """Send so many messages without waiting. Return their acks in order of arrival."""
    for number in range(count):
        await client.send("message.send", {"chatId": str(chat), "content": f"{prefix}{number}"})
    return [await client.expect("ack") for _ in range(count)]


def stored(chat: int) -> list[tuple[int, str]]:
    return list(Message.objects.filter(conversation_id=chat).order_by("seq").values_list("seq", "content"))


def told(news: list[Frame]) -> list[tuple[int, str]]:
    return [(message["seq"], message["content"]) for message in news]


async def test_all_members_see_one_order_across_processes(two: Two) -> None:
    ada, bob, cay, dan = (someone(name) for name in ("Ada", "Bob", "Cay", "Dan"))
    chat = group(ada, bob, cay, dan)
    async with (
        connected(two.one, ada) as a,
        connected(two.other, bob) as b,
        connected(two.one, cay) as c,
        connected(two.other, dan) as d,
    ):
        await asyncio.gather(pipeline(a, chat, "a", MANY), pipeline(b, chat, "b", MANY))
        heard = [told(await client.news(2 * MANY)) for client in (c, d)]
        own = [told(await client.news(MANY)) for client in (a, b)]
        for client in (a, b, c, d):
            assert [f for f in await client.settled() if f["type"] == "message.new"] == []

    history = stored(chat)
    assert [seq for seq, _ in history] == list(range(1, 2 * MANY + 1))
    assert heard == [history, history]
    assert own[0] == [(seq, text) for seq, text in history if text.startswith("b")]
    assert own[1] == [(seq, text) for seq, text in history if text.startswith("a")]
    for prefix in "ab":
        assert [text for _, text in history if text.startswith(prefix)] == [f"{prefix}{n}" for n in range(MANY)]


async def test_message_sent_twice_through_two_processes_is_stored_once(two: Two) -> None:
    ada, bob = someone(), someone()
    chat, ids = direct(ada, bob), [str(uuid4()) for _ in range(40)]

    async def send_all(client: Client) -> dict[str, Frame]:
        for id_ in ids:
            await client.send("message.send", {"chatId": str(chat), "content": id_}, id_=id_)
            await client.send("message.send", {"chatId": str(chat), "content": id_}, id_=id_)
        acks = [await client.expect("ack") for _ in range(2 * len(ids))]
        assert [ack["refId"] for ack in acks] == [id_ for id_ in ids for _ in range(2)]
        return {ack["refId"]: ack for ack in acks}

    async with connected(two.one, ada) as a, connected(two.other, ada) as again, connected(two.other, bob) as b:
        one, other = await asyncio.gather(send_all(a), send_all(again))
        news = await b.news(len(ids))
        assert await b.settled() == []

    for id_ in ids:
        assert one[id_]["status"] == other[id_]["status"] == "ok"
        assert (one[id_]["messageId"], one[id_]["seq"]) == (other[id_]["messageId"], other[id_]["seq"])
    assert sorted(message["clientId"] for message in news) == sorted(ids)
    assert [message["seq"] for message in news] == list(range(1, len(ids) + 1))
    assert Message.objects.filter(conversation_id=chat).count() == len(ids)


async def test_client_id_is_unique_by_chat_and_sender_only(two: Two) -> None:
    ada, bob, cay = someone(), someone(), someone()
    one, other, id_ = group(ada, bob), direct(ada, cay), str(uuid4())
    async with connected(two.one, ada) as a, connected(two.other, bob) as b:
        acks = [
            await a.call("message.send", {"chatId": str(one), "content": "x"}, id_=id_),
            await a.call("message.send", {"chatId": str(other), "content": "x"}, id_=id_),
            await b.call("message.send", {"chatId": str(one), "content": "x"}, id_=id_),
        ]
    assert [ack["duplicate"] for ack in acks] == [False, False, False]
    assert len({ack["messageId"] for ack in acks}) == 3


async def test_removed_member_receives_no_later_message(two: Two) -> None:
    ada, bob, cay = someone(), someone(), someone()
    chat = group(ada, bob, cay)
    async with connected(two.one, ada) as a, connected(two.other, bob) as b, connected(two.other, cay) as c:
        await pipeline(a, chat, "before", 20)
        sending = asyncio.create_task(pipeline(a, chat, "during", MANY))
        await asyncio.to_thread(members.remove, ada.id, chat, bob.id)
        await sending
        await a.say(chat, "after")
        everything = await c.news(20 + MANY + 2)
        await b.expect("chat.removed", lambda payload: payload["chatId"] == str(chat))
        heard = [f["payload"]["message"] for f in await b.settled() if f["type"] == "message.new"]

    left = Member.objects.get(conversation_id=chat, user_id=bob.id).left_seq
    assert left is not None
    assert told(heard) == [entry for entry in stored(chat) if entry[0] <= left]
    assert told(everything) == stored(chat)


async def test_removed_member_can_neither_send_nor_sync_nor_mark(two: Two) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob, someone())
    async with connected(two.one, ada) as a, connected(two.other, bob) as b:
        await a.say(chat, "before")
        await b.news(1)
        await asyncio.to_thread(members.remove, ada.id, chat, bob.id)
        await b.expect("chat.removed")
        assert (await b.say(chat))["error"]["code"] == "NOT_A_MEMBER"
        await b.send("read.mark", {"chatId": str(chat), "seq": 1})
        assert (await b.expect("error"))["code"] == "NOT_A_MEMBER"
        await b.send("typing.start", {"chatId": str(chat)})
        await b.send("sync.request", {"chats": {str(chat): {"seq": 0, "rev": 0}}})
        response = await b.expect("sync.response")
        assert (response["chats"], response["removed"]) == ([], [str(chat)])
        assert [f["type"] for f in await a.settled() if f["type"] in ("typing.indicator", "read.receipt")] == []
    assert [text for _, text in stored(chat)] == ["before", "Someone removed Someone"]


async def test_new_member_receives_messages_from_then_on(two: Two) -> None:
    ada, bob, cay = someone(), someone(), someone()
    chat = group(ada, cay)
    async with connected(two.one, ada) as a, connected(two.other, bob) as b:
        await pipeline(a, chat, "before", 3)
        await asyncio.to_thread(members.add, ada.id, chat, bob.id)
        created = await b.expect("chat.created", lambda payload: payload["chatId"] == str(chat))
        await a.say(chat, "welcome")
        heard = await b.news(2)
        assert [f for f in await b.settled() if f["type"] == "message.new"] == []
    assert told(heard) == [(4, "Someone added Someone"), (5, "welcome")]
    assert created["chat"]["memberCount"] == 3


async def test_message_of_a_blocked_sender_is_acked_but_never_delivered(two: Two) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(bob.id, ada.id)
    async with (
        connected(two.one, ada) as a,
        connected(two.other, ada) as own,
        connected(two.other, bob) as b,
        connected(two.one, bob) as phone,
    ):
        ack = await a.say(chat, "hear me")
        assert (ack["status"], ack["seq"]) == ("ok", 1)
        assert told(await own.news(1)) == [(1, "hear me")]
        await a.send("typing.start", {"chatId": str(chat)})
        reply = await b.say(chat, "unrelated")
        assert told(await a.news(1)) == [(2, "unrelated")]
        await phone.news(1)
        await b.send("sync.request", {"chats": {str(chat): {"seq": 0, "rev": 0}}})
        synced = await b.expect("sync.response")
        leaks = [
            f for f in await b.settled() + await phone.settled() if f["type"] in ("message.new", "typing.indicator")
        ]
    assert leaks == []
    assert (reply["status"], reply["seq"]) == ("ok", 2)
    assert [message["content"] for message in synced["chats"][0]["messages"]] == ["unrelated"]
    assert synced["chats"][0]["seq"] == 2


async def test_in_a_group_only_the_blocking_member_misses_messages_of_the_blocked_one(two: Two) -> None:
    ada, bob, cay = someone(), someone(), someone()
    chat = group(cay, ada, bob)
    blocks.block(bob.id, ada.id)
    async with connected(two.one, ada) as a, connected(two.other, bob) as b, connected(two.other, cay) as c:
        await a.say(chat, "from ada")
        await c.say(chat, "from cay")
        assert told(await b.news(1)) == [(2, "from cay")]
        assert told(await c.news(1)) == [(1, "from ada")]
        assert told(await a.news(1)) == [(2, "from cay")]
        assert [f for f in await b.settled() if f["type"] == "message.new"] == []


async def test_typing_and_marks_reach_members_on_another_process(two: Two) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = direct(ada, bob)
    async with connected(two.one, ada) as a, connected(two.other, bob) as b:
        ack = await a.say(chat)
        await b.news(1)
        await b.send("typing.start", {"chatId": str(chat)})
        assert (await a.expect("typing.indicator"))["displayName"] == "Bob"
        await b.send("read.mark", {"chatId": str(chat), "messageId": ack["messageId"]})
        receipt = await a.expect("read.receipt")
    assert receipt["receipts"] == [{"userId": str(bob.id), "messageId": ack["messageId"], "seq": 1}]


async def test_process_that_had_no_connections_delivers_no_old_events(two: Two) -> None:
    """It delivered to nobody while it had no connections; a new connection gets only events from then on."""
    ada, bob, cay = someone(), someone(), someone()
    chat, marker = direct(ada, bob), direct(ada, cay)
    with serve(settings.DATABASES["default"]["NAME"]) as empty:
        async with connected(two.one, ada) as a:
            async with connected(empty, bob) as b:
                await a.say(chat, "seen")
                assert told(await b.news(1)) == [(1, "seen")]
            await pipeline(a, chat, "meanwhile", 20)
            async with connected(empty, cay) as c:
                # What this one gets has passed all that was on its way before.
                await a.say(marker)
                await c.news(1)
                async with connected(empty, bob) as back:
                    await a.say(chat, "now")
                    heard = told(await back.news(1))
                    assert [f for f in await back.settled() if f["type"] == "message.new"] == []
    assert heard == [(22, "now")]


async def test_rest_message_stops_typing_before_it_arrives(two: Two) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    async with connected(two.one, ada) as a, connected(two.other, bob) as b:
        await a.send("typing.start", {"chatId": str(chat)})
        await b.expect("typing.indicator", lambda payload: payload["active"])
        sent = await asyncio.to_thread(Api(two.one, ada).post, f"conversations/{chat}/messages", {"content": "done"})
        await b.expect("message.new")
        before = [frame["payload"]["active"] for frame in b.frames if frame["type"] == "typing.indicator"]

    assert (sent.status, before) == (201, [False])
