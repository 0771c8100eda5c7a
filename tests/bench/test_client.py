"""The load client follows the protocol: one message in flight, marks, gaps, sync, reconnect with the same ids."""

import time
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

import pytest

from bench import client as client_module
from bench.checker import ALWAYS, Facts, StoredMessage, Verdict, check_history
from bench.client import Client
from bench.client_state import Account, Waiting
from bench.history import ClientIds, Kind, Row, digest, read_rows
from bench.load import Load, Plan
from tests.bench.standin import CHAT, Standin

ANN, BOB = 101, 102


@pytest.fixture
def server() -> Iterator[Standin]:
    standin = Standin()
    yield standin
    standin.stop()


class ClientPair:
    """Ann and Bob in one load process, connected."""

    def __init__(self, server: Standin, folder: Path) -> None:
        self.server, self.pipe = server, Pipe()
        accounts = [Account(user, str(user), {str(CHAT): (0, 0)}) for user in (ANN, BOB)]
        plan = Plan(0, ClientIds.for_new_run().prefix, folder / "history", [server.address], accounts)
        self.load = Load(plan, self.pipe[1])
        self.ann, self.bob = self.load.clients
        for each in self.load.clients:
            each.connect()
        self.run_until(lambda: self.ann.ready and self.bob.ready)

    def run_until(self, happened: "object") -> None:
        assert callable(happened)
        assert self.load.loop.run(happened, time.monotonic_ns() + 10_000_000_000), "it did not happen within 10 s"

    def post(self, client: Client, *texts: str) -> None:
        for text in texts:
            client.enqueue(client.chats[str(CHAT)], Waiting(time.monotonic_ns(), text))

    def seq(self, client: Client) -> int:
        return client.chats[str(CHAT)].seq

    def rows(self) -> list[Row]:
        self.load.writer.flush()
        return list(read_rows([self.load.plan.history]))

    def verdict(self) -> Verdict:
        done: list[int] = []
        for each in self.load.clients:
            each.request_last_sync(lambda: done.append(1))
        self.run_until(lambda: len(done) == 2)
        numbers = self.load.ids
        stored = [
            StoredMessage(CHAT, each["seq"], each["rev"], numbers.number(each["clientId"]), int(each["sender"]["id"]),
                          int(each["id"]), digest(each["content"]))
            for each in self.server.messages
        ]  # fmt: skip
        return check_history(self.rows(), Facts(stored, {(CHAT, ANN): ALWAYS, (CHAT, BOB): ALWAYS}))


@pytest.fixture
def pair(server: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClientPair:
    monkeypatch.setattr(client_module, "BACKOFF", (0.05,))
    monkeypatch.setattr(client_module, "GAP_PATIENCE", 50_000_000)
    return ClientPair(server, tmp_path)


def test_messages_of_two_clients_are_sent_acked_and_delivered(pair: ClientPair) -> None:
    pair.post(pair.ann, "one", "two 🙂")
    pair.post(pair.bob, "three")
    pair.run_until(lambda: pair.seq(pair.ann) == pair.seq(pair.bob) == 3)
    verdict = pair.verdict()
    assert verdict.faults() == {}
    assert (verdict.sent, verdict.acked, verdict.stored, verdict.delivered, verdict.by_sync) == (3, 3, 3, 3, 0)


def test_client_sends_the_next_message_of_a_chat_after_the_ack(pair: ClientPair) -> None:
    pair.post(pair.ann, "one", "two", "three")
    chat = pair.ann.chats[str(CHAT)]
    assert (len(chat.in_flight), len(chat.outbox)) == (1, 2)
    pair.run_until(lambda: pair.seq(pair.bob) == 3)
    kinds = [row.kind for row in pair.rows() if row.kind in (Kind.SENT, Kind.ACKED)]
    assert kinds == [Kind.SENT, Kind.ACKED] * 3


def test_client_records_the_intended_time_of_a_waiting_message(pair: ClientPair) -> None:
    pair.post(pair.ann, "one", "two")
    pair.run_until(lambda: pair.seq(pair.bob) == 2)
    second = [row for row in pair.rows() if row.kind == Kind.SENT][1]
    first_ack = next(row for row in pair.rows() if row.kind == Kind.ACKED)
    assert second.other < first_ack.at <= second.at


def test_client_marks_delivered_messages_at_once_and_at_most_five_times_a_second(pair: ClientPair) -> None:
    pair.post(pair.ann, *map(str, range(40)))
    pair.run_until(lambda: pair.server.marks and pair.server.marks[-1] == (BOB, 40))
    assert len(pair.server.marks) <= 4
    assert pair.server.marks == sorted(pair.server.marks)
    assert pair.server.marks[0][1] < 40


def test_client_closes_a_gap_by_sync(pair: ClientPair) -> None:
    pair.server.hide = {2, 3}
    pair.post(pair.ann, "one", "two", "three", "four")
    pair.run_until(lambda: pair.seq(pair.bob) == 4)
    verdict = pair.verdict()
    assert verdict.faults() == {}
    assert (verdict.delivered, verdict.by_sync) == (2, 2)


def test_last_sync_fetches_messages_missing_at_the_end(pair: ClientPair) -> None:
    pair.server.hide = {1, 2, 3}
    pair.post(pair.ann, "one", "two", "three")
    pair.run_until(lambda: pair.seq(pair.ann) == 3)
    verdict = pair.verdict()
    assert verdict.faults() == {}
    assert verdict.by_sync == 3


def test_client_resends_unacked_message_with_the_same_id_after_reconnect(pair: ClientPair) -> None:
    pair.server.forget_acks = {2}
    pair.post(pair.ann, "one", "two", "three")
    pair.run_until(lambda: pair.seq(pair.ann) == pair.seq(pair.bob) == 3)
    assert [each["content"] for each in pair.server.messages] == ["one", "two", "three"]
    assert [row.kind for row in pair.rows() if row.kind == Kind.ACKED_AGAIN] == [Kind.ACKED_AGAIN]
    verdict = pair.verdict()
    assert verdict.faults() == {}
    assert (verdict.sent, verdict.acked) == (3, 3)


def test_disconnected_client_reconnects_and_syncs(pair: ClientPair) -> None:
    pair.server.cut()
    pair.run_until(lambda: not pair.ann.ready and not pair.bob.ready)
    pair.post(pair.ann, "while away")
    pair.run_until(lambda: pair.seq(pair.ann) == pair.seq(pair.bob) == 1)
    assert pair.verdict().faults() == {}


def test_client_retries_a_rate_limited_message_with_the_same_id(pair: ClientPair) -> None:
    pair.server.refuse_once = {1}
    pair.post(pair.ann, "one")
    pair.run_until(lambda: pair.seq(pair.bob) == 1)
    verdict = pair.verdict()
    assert verdict.faults() == {}
    assert (verdict.sent, verdict.refused) == (1, 1)
