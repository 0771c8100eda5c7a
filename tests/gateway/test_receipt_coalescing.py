"""Receipt coalescing: at once after a quiet time, then one frame in 100 ms, the highest seq of each member."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gateway import codec, indicators, websocket
from gateway.bus import Event
from gateway.frames import Class
from gateway.indicators import DELIVERED, SEEN, Claim, Indicator
from gateway.receipt_coalescing import ReceiptBuffer, Sink

READER, BOB, CEM, CHAT, OTHER = 1, 2, 3, 10, 11
TYPES = {DELIVERED: "delivery.receipt", SEEN: "read.receipt"}


class Clockwork(asyncio.SelectorEventLoop):
    """An event loop whose clock is moved by the test."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def pass_(self, seconds: float = 0.0) -> None:
        self.now += seconds
        for _ in range(3):
            self.run_until_complete(asyncio.sleep(0))


class Reader:
    """A connection, as the buffer sees it."""

    def __init__(self, loop: Clockwork, aliases: dict[int, int] | None = None) -> None:
        self.loop = loop
        self.got: list[Any] = []
        self.slow = False
        self.buffer = ReceiptBuffer(Sink(READER, self.write, lambda: not self.slow, lambda: aliases))

    def write(self, message: dict[str, Any], cls: Class) -> None:
        assert cls is Class.RECEIPT
        self.got.append(msgspec.json.decode(message["text"]) if "text" in message else message["bytes"])

    def tell(self, state: int, seq: int, user: int = BOB, chat: int = CHAT) -> None:
        """Add one mark, as an event does."""
        entry = {"userId": str(user), "seq": seq}
        frame = codec.frame(TYPES[state], {"chatId": str(chat), "receipts": [entry]})
        said = [Indicator(state, user, user, seq, msgspec.json.encode(entry))]
        event = Event(chat=chat, frame=frame, coalesced_type=TYPES[state], indicators=said)

        async def add() -> None:
            self.buffer.add(event, websocket.message(frame))

        self.loop.run_until_complete(add())

    def said(self) -> list[tuple[str, list[tuple[int, int]]]]:
        """Return the frames so far: type, and pairs of user and seq."""
        return [(f["type"], [(int(r["userId"]), r["seq"]) for r in f["payload"]["receipts"]]) for f in self.got]


@pytest.fixture
def loop() -> Iterator[Clockwork]:
    clock = Clockwork()
    yield clock
    clock.close()


def test_first_receipt_is_sent_at_once_and_later_ones_are_merged(loop: Clockwork) -> None:
    reader = Reader(loop)
    reader.tell(DELIVERED, 1)
    loop.pass_()
    at_once = reader.said()
    for seq in range(2, 102):
        reader.tell(DELIVERED, seq)
        reader.tell(DELIVERED, seq, CEM)
        loop.pass_(0.0005)
    before = reader.said()
    loop.pass_(0.06)

    assert at_once == before == [("delivery.receipt", [(BOB, 1)])]
    assert reader.said()[1:] == [("delivery.receipt", [(BOB, 101), (CEM, 101)])]


def test_flood_of_receipts_makes_one_frame_per_100_ms(loop: Clockwork) -> None:
    reader = Reader(loop)
    for seq in range(1, 1001):
        reader.tell(SEEN, seq)
        loop.pass_(0.001)
    loop.pass_(0.1)

    seqs = [receipts[0][1] for _, receipts in reader.said()]
    assert len(seqs) <= 11
    assert seqs == sorted(seqs)
    assert seqs[-1] == 1000


def test_late_lower_seq_is_dropped(loop: Clockwork) -> None:
    reader = Reader(loop)
    reader.tell(SEEN, 1)
    loop.pass_()
    reader.tell(SEEN, 9)
    reader.tell(SEEN, 5)
    loop.pass_(0.1)

    assert reader.said()[1:] == [("read.receipt", [(BOB, 9)])]


def test_seen_receipt_replaces_unsent_delivered_receipt(loop: Clockwork) -> None:
    reader = Reader(loop)
    reader.tell(DELIVERED, 1)
    loop.pass_()
    reader.tell(DELIVERED, 4)
    reader.tell(SEEN, 4)
    reader.tell(DELIVERED, 5, CEM)
    reader.tell(SEEN, 4, CEM)
    loop.pass_(0.1)
    loop.pass_(0.1)

    assert reader.said()[1:] == [("delivery.receipt", [(CEM, 5)]), ("read.receipt", [(BOB, 4), (CEM, 4)])]


def test_json_receipts_of_several_chats_take_turns(loop: Clockwork) -> None:
    reader = Reader(loop)
    chats = range(CHAT, CHAT + 5)
    frames: list[int] = []
    for seq in range(1, 21):
        for chat in chats:
            reader.tell(SEEN, seq, chat=chat)
        before = len(reader.got)
        loop.pass_(0.1)
        frames.append(len(reader.got) - before)
    for _ in chats:
        loop.pass_(0.1)
    told = [(int(f["payload"]["chatId"]), f["payload"]["receipts"][0]["seq"]) for f in reader.got]

    assert set(frames[1:]) == {1}
    assert {chat for chat, _ in told[-10:-5]} == {chat for chat, _ in told[-5:]} == set(chats)
    assert dict(told) == dict.fromkeys(chats, 20)


def test_compact_connection_gets_one_frame_for_all_chats_without_implied_receipts(loop: Clockwork) -> None:
    reader = Reader(loop, {CHAT: 1, OTHER: 2})
    reader.tell(DELIVERED, 1)
    loop.pass_()
    reader.tell(DELIVERED, 4)
    reader.tell(SEEN, 4)
    reader.tell(DELIVERED, 5, CEM)
    reader.tell(SEEN, 3, CEM)
    reader.tell(DELIVERED, 7, chat=OTHER)
    reader.tell(DELIVERED, 7, READER)
    loop.pass_(0.1)

    _, frame = reader.got
    assert indicators.decode(frame) == [
        Claim(DELIVERED, 1, 5),
        Claim(SEEN, 1, 4),
        Claim(SEEN, 1, 3),
        Claim(DELIVERED, 2, 7),
    ]


def test_chat_without_alias_gets_text_receipts(loop: Clockwork) -> None:
    reader = Reader(loop, {OTHER: 1})
    reader.tell(DELIVERED, 4)
    loop.pass_()

    assert reader.said() == [("delivery.receipt", [(BOB, 4)])]


def test_slow_peer_gets_only_latest_receipts_once_writable(loop: Clockwork) -> None:
    """F427: order is kept, nothing is lost, and no backlog grows."""
    reader = Reader(loop)
    reader.slow = True
    for seq in range(1, 50):
        reader.tell(DELIVERED, seq)
        loop.pass_(0.1)
    meanwhile = reader.said()
    reader.slow = False
    loop.pass_(0.1)

    assert meanwhile == []
    assert reader.said() == [("delivery.receipt", [(BOB, 49)])]


def test_flush_sends_unsent_receipts_and_discard_drops_later_ones(loop: Clockwork) -> None:
    reader = Reader(loop)
    reader.tell(DELIVERED, 1)
    loop.pass_()
    reader.tell(DELIVERED, 2)

    async def flush() -> None:
        reader.buffer.flush()

    loop.run_until_complete(flush())
    asked = reader.said()
    reader.tell(DELIVERED, 3)
    reader.buffer.discard()
    loop.pass_(1)

    assert asked == reader.said() == [("delivery.receipt", [(BOB, 1)]), ("delivery.receipt", [(BOB, 2)])]


def test_lagging_process_coalesces_receipts_for_longer(loop: Clockwork) -> None:
    """F316: optional frames are delayed first."""
    reader = Reader(loop)
    reader.tell(DELIVERED, 1)
    loop.pass_()
    reader.tell(DELIVERED, 2)
    loop.pass_(0.4)  # due after 0.1: the loop was busy
    for seq in range(3, 12):
        reader.tell(DELIVERED, seq)
        loop.pass_(0.1)
    stressed = [receipts[0][1] for _, receipts in reader.said()]
    loop.pass_(0.15)
    reader.tell(DELIVERED, 12)
    loop.pass_(0.1)

    assert stressed == [1, 2]
    assert [receipts[0][1] for _, receipts in reader.said()] == [1, 2, 11, 12]
