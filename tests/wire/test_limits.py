"""Frames above a limit are refused with the time to wait, merged, or dropped silently (protocol 2.7)."""

import asyncio
import time

from django.conf import settings

from accounts import contacts
from chat.models import Message
from tests.clients import Client, Frame, connected
from tests.factories import direct, group, someone
from tests.servers import Server, serve
from tests.wire.conftest import STRICT

BURST, PER_SECOND, PER_MINUTE = 20, 10, 25


async def flood(client: Client, chat: int, count: int, **more: str) -> list[Frame]:
    """Send so many messages at once and return their acks in order."""
    ids = [await client.send("message.send", {"chatId": str(chat), "content": f"{n}", **more}) for n in range(count)]
    return [await client.ack(id_) for id_ in ids]


def refused(acks: list[Frame]) -> list[Frame]:
    return [ack["error"] for ack in acks if ack["status"] == "error"]


async def test_burst_is_allowed_and_more_is_refused(strict: Server) -> None:
    ada = someone()
    chat = group(ada, someone())
    async with connected(strict, ada) as client:
        began = time.monotonic()
        acks = await flood(client, chat, 40)
        allowed = len(acks) - len(refused(acks))
        assert BURST <= allowed <= min(PER_MINUTE, BURST + PER_SECOND * (time.monotonic() - began)) + 1
        assert [ack["status"] for ack in acks[:BURST]] == ["ok"] * BURST
        for error in refused(acks):
            assert (error["code"], 0 < error["retryAfter"] <= 60 / PER_MINUTE) == ("RATE_LIMITED", True)
    assert list(Message.objects.filter(conversation_id=chat).order_by("seq").values_list("seq", flat=True)) == list(
        range(1, allowed + 1)
    )


async def test_send_succeeds_after_the_returned_wait(strict: Server) -> None:
    ada = someone()
    chat = group(ada, someone())
    async with connected(strict, ada) as client:
        error = refused(await flood(client, chat, 40))[-1]
        await asyncio.sleep(error["retryAfter"])
        assert (await client.say(chat, "in time"))["status"] == "ok"


async def test_limit_holds_across_chats_devices_and_processes(strict: Server) -> None:
    ada, bob = someone(), someone()
    chats = [group(ada, bob), group(ada, bob)]
    with serve(settings.DATABASES["default"]["NAME"], **STRICT) as other:  # type: ignore[arg-type]
        async with connected(strict, ada) as one, connected(other, ada) as two, connected(other, bob) as b:
            acks = await asyncio.gather(flood(one, chats[0], 30), flood(two, chats[1], 30))
            assert BURST <= sum(len(each) - len(refused(each)) for each in acks) <= PER_MINUTE + 1
            assert (await b.say(chats[0], "another user's bucket"))["status"] == "ok"


async def test_stranger_limit_ends_with_an_answer_or_a_contact(strict: Server) -> None:
    ada, bob, cay = someone(), someone(), someone()
    one, other = direct(ada, bob), direct(ada, cay)
    async with connected(strict, ada) as a, connected(strict, bob) as b:
        assert refused(await flood(a, one, 2) + await flood(a, other, 1)) == []
        (error,) = refused(await flood(a, one, 1))
        assert (error["code"], 1 < error["retryAfter"] <= 20) == ("RATE_LIMITED", True)
        assert (await b.say(one, "who are you?"))["status"] == "ok"
        assert refused(await flood(a, one, 3)) == []
        assert len(refused(await flood(a, other, 1))) == 1
        await asyncio.to_thread(contacts.add, cay.id, ada.id)
        assert refused(await flood(a, other, 3)) == []


async def test_fourth_urgent_message_in_an_hour_is_refused_and_normal_ones_are_not(strict: Server) -> None:
    ada = someone()
    chat = group(ada, someone())
    async with connected(strict, ada) as client:
        assert refused(await flood(client, chat, 3, priority="urgent")) == []
        (error,) = refused(await flood(client, chat, 1, priority="urgent"))
        assert (error["code"], 600 < error["retryAfter"] <= 1200) == ("URGENT_LIMIT", True)
        assert refused(await flood(client, chat, 1)) == []


async def test_resend_of_a_stored_message_is_acked_despite_the_limit(strict: Server) -> None:
    """After a lost ack, a client must be able to learn that its message is stored (protocol 2.4)."""
    ada = someone()
    chat, id_ = group(ada, someone()), "0d3ab1c2-6a3e-4a3e-9a77-3d7a3e5c1f10"
    payload = {"chatId": str(chat), "content": "once"}
    async with connected(strict, ada) as client:
        first = await client.call("message.send", payload, id_=id_)
        await flood(client, chat, 40)
        again = await client.call("message.send", payload, id_=id_)
    assert again == {**first, "duplicate": True}


async def test_typing_above_one_a_second_is_dropped_silently(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(server, ada) as a, connected(server, bob) as b:
        for _ in range(20):
            await a.send("typing.start", {"chatId": str(chat)})
        assert await a.settled() == []
        await b.expect("typing.indicator")
        await a.say(chat)
        await b.news(1)
        indicators = [f["payload"]["active"] for f in await b.settled() if f["type"] == "typing.indicator"]
    assert indicators == [False]


async def test_marks_above_five_a_second_are_merged_to_the_highest(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(server, ada) as a, connected(server, bob) as b:
        await flood(a, chat, 60)
        for type_, receipt in (("message.delivered", "delivery.receipt"), ("read.mark", "read.receipt")):
            began = time.monotonic()
            for seq in [*range(1, 61), 30]:
                await b.send(type_, {"chatId": str(chat), "seq": seq})
            last = await a.expect(receipt, lambda payload: payload["receipts"][0]["seq"] == 60)
            told = [f["payload"]["receipts"][0]["seq"] for f in a.frames if f["type"] == receipt]
            assert last["receipts"][0]["userId"] == str(bob.id)
            assert told == sorted(told)
            assert len(told) <= 5 * (time.monotonic() - began) + 2
        assert [f for f in await b.settled() if f["type"] in ("ack", "error")] == []


async def test_connection_that_floods_is_closed_and_others_go_on(open_database: None) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    rates = {"PARLEY_LIMIT_FRAMES_PER_SECOND": "100", "PARLEY_LIMIT_FRAME_PATIENCE": "0.2"}
    with serve(settings.DATABASES["default"]["NAME"], **rates) as server:  # type: ignore[arg-type]
        async with connected(server, ada) as flood, connected(server, bob) as other:
            for _ in range(1_000):
                await flood.socket.send('{"type":"ping"}')
            close = await flood.close()
            assert (close.code, close.reason) == (4429, "1")
            assert len(flood.frames) < 1_000
            assert (await other.say(chat))["status"] == "ok"
