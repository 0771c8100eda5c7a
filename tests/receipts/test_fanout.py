"""Fan-out of receipts: few frames for many marks, changes only, the right final seqs (F116, F117, F118, F427)."""

from itertools import pairwise

from chat.conversations import members
from tests.clients import Frame, connected
from tests.factories import direct, group, say_many, someone
from tests.receipts.readers import send_all_marks
from tests.servers import Server

MEMBERS = 40


def receipts_in(frames: list[Frame], type_: str) -> list[list[tuple[int, int]]]:
    """Return the receipts of each frame of a type as (user, seq)."""
    return [[(int(r["userId"]), r["seq"]) for r in f["payload"]["receipts"]] for f in frames if f["type"] == type_]


async def test_two_hundred_marks_arrive_in_few_frames_with_the_final_seqs(either_server: Server) -> None:
    """Forty members mark five messages each, delivered and seen, as fast as they can."""
    ada, *others = [someone() for _ in range(MEMBERS)]
    chat = group(ada, *others)
    say_many(ada, chat, 5)

    async with connected(either_server, ada) as a:
        async with connected(either_server, others[0]) as b:
            for seq in range(1, 6):
                for type_ in ("message.delivered", "read.mark"):
                    await b.send(type_, {"chatId": str(chat), "seq": seq})
            await a.expect("read.receipt", lambda payload: payload["receipts"][-1]["seq"] == 5)
        frames = await send_all_marks(either_server, others[1:], chat, 5, observer=a)

    assert len(frames) <= len(others) / 3 * 2
    end: dict[tuple[str, int], int] = {}
    for frame in frames:
        for user, seq in ((int(r["userId"]), r["seq"]) for r in frame["payload"]["receipts"]):
            assert end.get((frame["type"], user), 0) < seq, "a receipt is sent only for a mark that moved"
            end[frame["type"], user] = seq
    assert {user: seq for (type_, user), seq in end.items() if type_ == "read.receipt"} == {
        person.id: 5 for person in others[1:]
    }


async def test_seen_receipt_implies_delivered_and_seqs_never_fall(either_server: Server) -> None:
    """A delivered receipt below a seen one that was sent would be a step back: it is not sent."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 20)

    async with connected(either_server, ada) as a, connected(either_server, bob) as b:
        for seq in range(1, 21):
            await b.send("read.mark", {"chatId": str(chat), "seq": seq})
        frames: list[Frame] = []
        while not receipts_in(frames, "read.receipt") or receipts_in(frames, "read.receipt")[-1][0][1] < 20:
            frames.append(await a.expect_frame("read.receipt"))
        delivered = receipts_in(await a.settled(), "delivery.receipt")

    assert delivered == []
    assert all(one < other for one, other in pairwise(f["payload"]["receipts"][0]["seq"] for f in frames))


async def test_reconnect_receives_buffered_receipts(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 10)

    async with connected(server, bob) as b:
        async with connected(server, ada) as a:
            await b.send("read.mark", {"chatId": str(chat), "seq": 1})
            await a.expect("read.receipt")
            await b.send("read.mark", {"chatId": str(chat), "seq": 10})
        await b.expect("read.receipt", lambda payload: payload["receipts"][0]["seq"] == 10)
        async with connected(server, ada) as again:
            await again.send("sync.request", {"chats": {}})
            answer = await again.expect("sync.response")

    marks = {m["userId"]: (m["deliveredSeq"], m["readSeq"]) for m in answer["chats"][0]["members"]}
    assert marks[str(bob.id)] == (10, 10)


async def test_removed_member_receives_no_later_receipts(server: Server) -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    say_many(ada, chat, 3)

    async with connected(server, bob) as b, connected(server, cem) as c, connected(server, ada) as a:
        await b.send("read.mark", {"chatId": str(chat), "seq": 1})
        await c.expect("read.receipt")
        members.remove(ada.id, chat, cem.id)
        await c.expect("chat.removed")
        await b.send("read.mark", {"chatId": str(chat), "seq": 3})
        await a.expect("read.receipt", lambda payload: payload["receipts"][0]["seq"] == 3)
        frames = await c.settled()

    heard = [r for type_ in ("delivery.receipt", "read.receipt") for group in receipts_in(frames, type_) for r in group]
    assert set(heard) <= {(bob.id, 1)}
