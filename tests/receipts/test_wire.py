"""Marks and receipts over the wire: coalesced in quick succession, never backwards."""

from typing import Any

from accounts import blocks, privacy
from chat.conversations import members
from receipts.marks import Mark, record_marks
from tests.chat import rows
from tests.chat.rest import Api
from tests.clients import connected
from tests.factories import another_device, direct, draft, group, say, say_many, someone, store
from tests.servers import Server


async def test_marks_in_quick_succession_are_coalesced_to_the_highest(server: Server) -> None:
    """F286: more than five marks a second are coalesced; the highest counts."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 40)

    async with connected(server, ada) as a, connected(server, bob) as b:
        for seq in [*range(1, 41), 3]:
            await b.send("read.mark", {"chatId": str(chat), "seq": seq})
        last = await a.expect("read.receipt", lambda payload: payload["receipts"][0]["seq"] == 40)
        earlier = [f["payload"]["receipts"][0]["seq"] for f in a.frames if f["type"] == "read.receipt"]
        nothing = [f for f in await b.settled() if f["type"] in ("ack", "error")]

    assert last["receipts"][0]["userId"] == str(bob.id)
    assert len(earlier) <= 3
    assert earlier == sorted(earlier)
    assert nothing == []
    assert rows.member(bob, chat).read_seq == 40


async def test_other_device_of_the_reader_receives_the_read_receipt(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(ada, chat)

    async with connected(server, bob) as phone, connected(server, another_device(bob)) as desk:
        await phone.send("read.mark", {"chatId": str(chat), "seq": 1})
        receipt = await desk.expect("read.receipt")

    assert receipt["receipts"][0] == {"userId": str(bob.id), "messageId": receipt["receipts"][0]["messageId"], "seq": 1}


async def test_setting_turned_off_hides_later_reads_until_turned_on(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 3)

    async with connected(server, ada) as a, connected(server, bob) as b:
        await b.send("read.mark", {"chatId": str(chat), "seq": 1})
        await a.expect("read.receipt")
        privacy.change(bob.id, settings={"send_read_receipts": False})
        await b.send("read.mark", {"chatId": str(chat), "seq": 2})
        await b.expect("read.receipt", lambda payload: payload["receipts"][0]["seq"] == 2)
        hidden = [f for f in await a.settled() if f["type"] == "read.receipt"]
        listed = Api(server, ada).get(f"conversations/{chat}").body["members"]
        privacy.change(bob.id, settings={"send_read_receipts": True})
        await b.send("read.mark", {"chatId": str(chat), "seq": 3})
        shown = await a.expect("read.receipt")

    assert hidden == []
    assert [m["readSeq"] for m in listed if m["userId"] == str(bob.id)] == [0]
    assert shown["receipts"][0]["seq"] == 3


async def test_read_receipt_follows_the_device_that_sends_them(server: Server) -> None:
    ada, bob = someone(), someone()
    chat, desk = direct(ada, bob), another_device(bob)
    say_many(ada, chat, 3)
    privacy.change(bob.id, settings={}, overrides={bob.device_id: {"send_read_receipts": False}})

    async with connected(server, ada) as a, connected(server, bob) as phone, connected(server, desk) as d:
        await phone.send("read.mark", {"chatId": str(chat), "seq": 3})
        own = await d.expect("read.receipt")
        nothing = [f for f in await a.settled() if f["type"] == "read.receipt"]
        await d.send("read.mark", {"chatId": str(chat), "seq": 2})
        receipts = await a.expect("read.receipt")
        echoed = [f for f in [*await phone.settled(), *await d.settled()] if f["type"] == "read.receipt"]

    assert nothing == []
    assert [f["payload"]["receipts"][0]["seq"] for f in echoed] == [3], "the own receipt of the first mark"
    assert own["receipts"][0]["seq"] == 3
    assert (receipts["receipts"][0]["userId"], receipts["receipts"][0]["seq"]) == (str(bob.id), 2)


async def test_device_with_receipts_off_sees_no_seen_mark_in_any_answer(server: Server) -> None:
    """Covers every answer with a mark or a state; the user's other device sees them all."""
    ada, bob = someone(), someone()
    desk, chat = another_device(ada), direct(ada, bob)
    first = say(ada, chat)
    store([draft(ada, chat, "an answer", reply_to=str(first.id))])
    record_marks([Mark(bob.id, chat, 0, 2, bob.device_id)])
    privacy.change(ada.id, settings={}, overrides={ada.device_id: {"show_read_receipts": False}})
    paths = (
        "conversations",
        f"conversations/{chat}",
        f"conversations/{chat}/members",
        f"conversations/{chat}/messages",
        f"messages/{first.id}",
        f"messages/{first.id}/replies",
    )

    shown: dict[str, list[Any]] = {}
    for name, device in (("phone", ada), ("desk", desk)):
        api = Api(server, device)
        answers = [api.get(path) for path in paths]
        answers.append(api.post(f"conversations/{chat}/backfill", {"after": 0}))
        answers.append(api.post("conversations", {"kind": "direct", "userId": str(bob.id)}))
        answers.append(api.post("sync", {"chats": {}}))
        async with connected(server, device) as client:
            await client.send("sync.request", {"chats": {}})
            synced = await client.expect("sync.response")
        assert all(answer.status == 200 for answer in answers)
        shown[name] = [states_in([answer.body], str(bob.id)) for answer in answers] + [states_in([synced], str(bob.id))]

    hidden: dict[Any, Any] = {"seen": "delivered", 2: 0}
    assert all(marks and marks <= hidden.keys() for marks in shown["desk"])
    assert shown["phone"] == [{hidden[mark] for mark in marks} for marks in shown["desk"]]


def states_in(items: list[Any], user: str) -> set[Any]:
    """Return all message states and all `readSeq` of a user in an answer."""
    marks: set[Any] = set()
    for each in items:
        if isinstance(each, dict):
            marks |= {each["state"]} if "state" in each else set()
            marks |= {each["readSeq"]} if each.get("userId") == user and "readSeq" in each else set()
            marks |= states_in(list(each.values()), user)
        elif isinstance(each, list):
            marks |= states_in(each, user)
    return marks


async def test_read_mark_may_name_a_message(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    stored = say_many(ada, chat, 3)

    async with connected(server, ada) as a, connected(server, bob) as b:
        await b.send("read.mark", {"chatId": str(chat), "messageId": str(stored[1].id)})
        receipt = await a.expect("read.receipt")
        refused = await b.send("read.mark", {"chatId": str(chat)})
        error = await b.expect("error")

    assert receipt["receipts"] == [{"userId": str(bob.id), "messageId": str(stored[1].id), "seq": 2}]
    assert (error["refId"], error["code"], error["field"]) == (refused, "INVALID_PAYLOAD", "seq")


async def test_former_member_can_neither_mark_nor_receive_receipts(server: Server) -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    say(ada, chat)
    members.remove(ada.id, chat, cem.id)

    async with connected(server, bob) as b, connected(server, cem) as c, connected(server, ada) as a:
        await c.send("read.mark", {"chatId": str(chat), "seq": 1})
        error = await c.expect("error")
        await b.send("read.mark", {"chatId": str(chat), "seq": 1})
        await a.expect("read.receipt")
        received = [f["type"] for f in await c.settled() if f["type"].endswith(".receipt")]

    assert error["code"] == "NOT_A_MEMBER"
    assert received == []


async def test_blocked_sender_receives_no_receipt_for_a_hidden_message(server: Server) -> None:
    """A blocked sender sees the state "sent" only (F205)."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(ada.id, bob.id)

    async with connected(server, bob) as b, connected(server, ada) as a:
        ack = await b.say(chat, "never seen")
        await a.send("message.delivered", {"chatId": str(chat), "seq": 1})
        await a.send("read.mark", {"chatId": str(chat), "seq": 1})
        await a.expect("read.receipt")
        received = [f for f in await b.settled() if f["type"].endswith(".receipt")]
        state = Api(server, bob).get(f"messages/{ack['messageId']}").body["state"]

    assert ack["status"] == "ok"
    assert received == []
    assert state == "sent"


async def test_stricter_device_neither_sends_nor_receives_read_receipts(
    server: Server,
) -> None:
    """F113: by device, in both directions, at once; own devices and recorded marks are not affected."""
    ada, bob = someone(), someone()
    desk, other = another_device(ada), another_device(bob)
    chat = direct(ada, bob)

    async with (
        connected(server, ada) as a,
        connected(server, desk) as d,
        connected(server, bob) as b,
        connected(server, other) as o,
    ):

        async def read(seq: int) -> tuple[bool, bool, bool]:
            await a.say(chat, str(seq))
            await b.expect("message.new", lambda payload: payload["message"]["seq"] == seq)
            await b.send("read.mark", {"chatId": str(chat), "seq": seq})
            await o.expect("read.receipt", lambda payload: payload["receipts"][-1]["seq"] == seq)
            receipts = [[f for f in await one.settled() if f["type"] == "read.receipt"] for one in (a, d)]
            for one in (a, d):
                one.frames.clear()
            seen = Api(server, ada).get(f"conversations/{chat}").body["lastMessage"]["state"] == "seen"
            return bool(receipts[0]), bool(receipts[1]), seen

        results = [await read(1)]
        privacy.change(bob.id, settings={}, overrides={bob.device_id: {"send_read_receipts": False}})
        results.append(await read(2))
        privacy.change(bob.id, settings={}, overrides={bob.device_id: {"send_read_receipts": None}})
        privacy.change(ada.id, settings={}, overrides={desk.device_id: {"show_read_receipts": False}})
        results.append(await read(3))
        privacy.change(ada.id, settings={}, overrides={desk.device_id: {"show_read_receipts": None}})
        results.append(await read(4))

    assert results == [(True, True, True), (False, False, False), (True, False, True), (True, True, True)]
    assert rows.member(bob, chat).read_seq == 4


async def test_pending_marks_are_recorded_after_the_connection_closes(server: Server) -> None:
    """F122: marks that wait to be coalesced outlive their connection."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 3)

    async with connected(server, another_device(bob)) as desk:
        async with connected(server, bob) as phone:
            for seq in (1, 2, 3):
                await phone.send("read.mark", {"chatId": str(chat), "seq": seq})
            await phone.send("ping", {})
            await phone.expect("pong")
        await desk.expect("read.receipt", lambda payload: payload["receipts"][-1]["seq"] == 3)

    assert rows.member(bob, chat).read_seq == 3
