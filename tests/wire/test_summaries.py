"""A chat with too many events: summaries instead of frames, and all members still get everything (F303)."""

import asyncio
from collections.abc import Iterator

import pytest
from django.conf import settings

from chat.models import Message
from tests.clients import Client, Frame, connected
from tests.factories import crowd, direct, group, say, someone
from tests.servers import Server, serve

RATE = 20
MANY = 100


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def hasty(request: pytest.FixtureRequest, open_database: None) -> Iterator[Server]:
    """A process with summary mode from 20 messages a second on."""
    with serve(
        settings.DATABASES["default"]["NAME"],
        PARLEY_SERVER=request.param,
        PARLEY_LIMIT_SUMMARY_PER_SECOND=str(RATE),
        PARLEY_LIMIT_SUMMARY_INTERVAL="0.2",
        PARLEY_LIMIT_SUMMARY_CALM="0.4",
    ) as running:
        yield running


class Reader:
    """A client that keeps the messages it gets, and syncs after each summary."""

    def __init__(self, client: Client, chat: int) -> None:
        self.client, self.chat = client, str(chat)
        self.held: dict[int, Frame] = {}
        self.live: list[int] = []
        self.summaries: list[Frame] = []
        self.types: set[str] = set()
        self.seq = self.rev = 0

    async def begin(self) -> "Reader":
        """Sync once."""
        await self.client.send("sync.request", {"chats": {self.chat: {"seq": self.seq, "rev": self.rev}}})
        await self.take(await self.client.expect_frame("sync.response"))
        return self

    async def until(self, seq: int) -> None:
        """Receive frames until all messages up to a seq are held."""
        async with asyncio.timeout(20):
            while self.seq < seq:
                await self.take(await self.client.next())

    async def take(self, frame: Frame) -> None:
        payload = frame["payload"]
        self.types.add(frame["type"])
        if frame["type"] == "message.new" and payload["chatId"] == self.chat:
            self.live.append(payload["message"]["seq"])
            self.hold(payload["message"])
            if self.live[-1] == self.seq + 1:
                self.seq, self.rev = self.live[-1], max(self.rev, payload["message"]["rev"])
        elif frame["type"] == "message.summary":
            self.summaries.append(payload)
            marks = {self.chat: {"seq": self.seq, "rev": self.rev}}
            await self.client.send("sync.request", {"chats": marks})
        elif frame["type"] == "sync.response":
            (part,) = [part for part in payload["chats"] if part["chatId"] == self.chat]
            assert not part["tooLarge"]
            for message in part["messages"]:
                self.hold(message)
            self.seq, self.rev = max(self.seq, part["seq"]), max(self.rev, part["rev"])

    def hold(self, message: Frame) -> None:
        earlier = self.held.get(message["seq"])
        assert earlier is None or earlier["id"] == message["id"]
        if earlier is None or earlier["rev"] < message["rev"]:
            self.held[message["seq"]] = message

    def holds_all(self) -> bool:
        rows = Message.objects.filter(conversation_id=int(self.chat)).order_by("seq")
        own = [(seq, self.held[seq]["content"]) for seq in sorted(self.held)]
        return own == [(row.seq, row.content) for row in rows]


async def flood(client: Client, chat: int, count: int) -> list[Frame]:
    """Send messages at once; return their acks."""
    ids = [await client.send("message.send", {"chatId": str(chat), "content": f"{n}"}) for n in range(count)]
    return [await client.ack(id_) for id_ in ids]


async def calm(client: Client, chat: int, reader: Reader) -> int:
    """Send messages slowly until one is delivered live again. Return its seq."""
    async with asyncio.timeout(20):
        while True:
            seq = int((await client.say(chat, "now and then"))["seq"])
            await reader.until(seq)
            if seq in reader.live:
                return seq


async def test_fast_chat_sends_summaries_and_sync_completes_the_history(hasty: Server) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    async with connected(hasty, ada) as a, connected(hasty, ada) as other, connected(hasty, bob) as b:
        readers = [await Reader(other, chat).begin(), await Reader(b, chat).begin()]
        seqs = [ack["seq"] for ack in await flood(a, chat, MANY)]
        assert seqs == list(range(seqs[0], seqs[0] + MANY))
        for reader in readers:
            await reader.until(seqs[-1])
            summed = sum(summary["count"] for summary in reader.summaries)
            first, last = reader.summaries[0]["fromSeq"], reader.summaries[-1]["toSeq"]
            assert (first, last) == (seqs[-1] - summed + 1, seqs[-1])
            assert [seq for seq in reader.live if seq >= seqs[0]] == list(range(seqs[0], first))
            assert MANY - RATE <= summed < MANY
        again = await calm(a, chat, readers[1])
        await readers[0].until(again)
        for reader in readers:
            assert reader.holds_all()
            assert reader.live == sorted(set(reader.live)), "each message once, in order"


async def test_other_chats_stay_live_beside_a_fast_one(hasty: Server) -> None:
    ada, bob = someone(), someone()
    fast, slow = group(ada, bob), direct(ada, bob)
    async with connected(hasty, ada) as a, connected(hasty, bob) as b:
        await flood(a, fast, 2 * RATE)
        for n in range(RATE):
            await a.say(slow, f"{n}")
        told = [m["content"] for m in await b.news(2 * RATE) if m["chatId"] == str(slow)]
        assert told == [f"{n}" for n in range(RATE)]


async def test_changes_in_a_fast_chat_are_covered_by_its_summaries(hasty: Server) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    async with connected(hasty, ada) as a, connected(hasty, bob) as b:
        reader = await Reader(b, chat).begin()
        acks = await flood(a, chat, 2 * RATE)
        edited = await a.call("message.edit", {"messageId": acks[0]["messageId"], "content": "better"})
        deleted = await a.call("message.delete", {"messageId": acks[-1]["messageId"], "scope": "everyone"})
        assert (edited["status"], deleted["status"]) == ("ok", "ok")
        await calm(a, chat, reader)
        assert reader.held[acks[0]["seq"]]["content"] == "better"
        assert reader.held[acks[-1]["seq"]]["status"] == "deleted"
        assert not {"message.updated", "message.deleted"} & reader.types


async def test_new_or_resumed_connection_misses_nothing_of_a_fast_chat(hasty: Server) -> None:
    ada, bob, cay = someone(), someone(), someone()
    chat = group(ada, bob, cay)
    async with connected(hasty, ada) as a:
        async with connected(hasty, bob) as b:
            before = await Reader(b, chat).begin()
            acks = await flood(a, chat, 2 * RATE)
            await before.until(acks[0]["seq"])
            token = b.hello["resumeToken"]
        await flood(a, chat, RATE)
        async with connected(hasty, bob, f"?resume={token}") as b, connected(hasty, cay) as c:
            assert b.hello["resumed"]
            back, new = Reader(b, chat), Reader(c, chat)
            back.held, back.seq, back.rev = before.held, before.seq, before.rev
            await new.begin()
            await flood(a, chat, RATE)
            last = await calm(a, chat, back)
            await new.until(last)
            assert back.holds_all()
            assert new.holds_all()


async def test_messages_of_another_process_count_for_summary_mode(hasty: Server) -> None:
    """Each process counts all events; not only the sender's process enters summary mode."""
    bob, people = someone(), crowd(2 * RATE)
    chat = group(bob, *people)
    async with connected(hasty, bob) as b:
        reader = await Reader(b, chat).begin()
        for person in people:
            last = say(person, chat)
        await reader.until(last.seq)
        assert reader.summaries
        assert reader.holds_all()
