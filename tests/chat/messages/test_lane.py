"""The lane of a web process: batches, their faults, and a database that goes away in the middle of one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from accounts import blocks
from chat.conversations import members
from chat.drafts import Draft, Stored
from chat.messages import ingest
from chat.messages.ingest import Lane
from chat.models import Message
from chat.refusals import NotAMember
from gateway import async_database
from gateway.async_database import PreparedConnection
from gateway.bus import Event
from gateway.errors import Overloaded
from tests.chat import rows
from tests.clients import until
from tests.factories import direct, draft, group, someone, store

WAIT_SECONDS = 10


async def sent(lane: Lane, *drafts: Draft) -> list[Stored | BaseException]:
    """Submit all at once and return what became of each."""
    async with asyncio.timeout(WAIT_SECONDS):
        return await asyncio.gather(*map(lane.submit, drafts), return_exceptions=True)


@asynccontextmanager
async def another_session() -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    session = await async_database._connect()
    try:
        yield session
    finally:
        await session.close()


async def test_waiting_messages_are_stored_by_one_statement(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    counted = Counted("test")

    answers = await sent(lane_on(counted), *[draft(ada, chat, str(n)) for n in range(50)])

    assert [a.seq for a in answers if isinstance(a, Stored)] == list(range(1, 51))
    assert counted.count == 1
    assert [event.seq for event in told if event.seq] == list(range(1, 51))


async def test_repeated_id_in_a_batch_stores_one_message(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    twice = draft(ada, chat)

    first, again, other = await sent(Lane(), twice, twice, draft(ada, chat))

    assert isinstance(first, Stored) and isinstance(again, Stored) and isinstance(other, Stored)
    assert (first.outcome, again.outcome, other.outcome) == ("stored", "duplicate", "stored")
    assert (first.id, first.seq) == (again.id, again.seq)
    assert rows.seqs_and_revs(chat) == [(1, 2), (2, 3)]
    assert [event.seq for event in told if event.seq] == [1, 2]


async def test_repeated_send_by_a_former_member_returns_the_first_answer(told: list[Event]) -> None:
    """Its ack was lost, then its sender was removed: what was stored is acked, however late."""
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    wanted = draft(bob, chat)
    (first,) = await sent(Lane(), wanted)
    members.remove(ada.id, chat, bob.id)

    again, later, other = await sent(Lane(), wanted, draft(bob, chat), draft(ada, chat))

    assert isinstance(first, Stored) and isinstance(again, Stored) and isinstance(other, Stored)
    assert (again.outcome, again.id, again.seq) == ("duplicate", first.id, 1)
    assert isinstance(later, NotAMember)
    assert other.seq == 3
    assert [event.seq for event in told if event.seq] == [1, 2, 3]


async def test_refused_message_in_a_batch_fails_only_its_sender(told: list[Event]) -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat = direct(ada, bob)

    good, refused = await sent(Lane(), draft(ada, chat), draft(eve, chat))

    assert isinstance(good, Stored)
    assert isinstance(refused, NotAMember)
    assert len([event for event in told if event.seq]) == 1


async def test_failing_message_does_not_fail_its_batch(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    poison = draft(ada, chat)._replace(mentions=(2**70,))

    one, broken, two = await sent(Lane(), draft(ada, chat), poison, draft(bob, chat))

    assert isinstance(one, Stored) and isinstance(two, Stored)
    assert (one.seq, two.seq) == (1, 2)
    assert isinstance(broken, psycopg.DataError)


async def test_send_is_retried_after_a_connection_lost_before_the_commit(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    lane = Lane()
    await sent(lane, draft(ada, chat))
    assert lane._database._connection is not None
    pid = lane._database._connection.info.backend_pid

    async with another_session() as other:
        async with other.transaction():
            await other.execute("SELECT FROM chat_conversation WHERE id = %s FOR UPDATE", [chat])
            waiting = asyncio.ensure_future(sent(lane, draft(ada, chat, "again")))
            await until(lambda: is_blocked(pid))
            async with another_session() as killer:
                await killer.execute("SELECT pg_terminate_backend(%s)", [pid])
        (answer,) = await waiting

    assert isinstance(answer, Stored)
    assert (answer.outcome, answer.seq) == ("stored", 2)
    assert rows.seqs_and_revs(chat) == [(1, 2), (2, 3)]
    assert [event.seq for event in told if event.seq] == [1, 2]


async def test_send_whose_commit_answer_was_lost_is_recovered_and_published_once(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    wanted = draft(ada, chat)

    (answer,) = await sent(lane_on(LosesTheFirstAnswer("test")), wanted)

    assert isinstance(answer, Stored)
    assert answer.seq == 1
    assert rows.seqs_and_revs(chat) == [(1, 2)]
    assert [event.seq for event in told if event.seq] == [1]


async def test_recovered_send_stays_hidden_after_the_block_has_ended(told: list[Event]) -> None:
    """Repetitions are told after a broken connection; by then the block may have ended, and what it hid stays hidden."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(ada.id, bob.id)
    hidden = draft(bob, chat)
    store([hidden])
    blocks.unblock(ada.id, bob.id)

    (answer,) = await sent(lane_on(LosesTheFirstAnswer("test")), hidden)

    assert isinstance(answer, Stored) and answer.duplicate
    assert [event.skip_users for event in told if event.seq] == [[ada.id]]


async def test_nothing_is_acked_while_the_database_is_unavailable(
    told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    monkeypatch.setattr(async_database, "RETRY_FOR_SECONDS", 0.3)

    (answer,) = await sent(lane_on(Away("test")), draft(ada, chat))

    assert isinstance(answer, Overloaded)
    assert answer.retry_after
    assert rows.seqs_and_revs(chat) == []
    assert not [event for event in told if event.seq]


async def test_stored_message_is_acked_even_if_publishing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the bus is on fire")

    monkeypatch.setattr(ingest, "publish_stored", broken)

    (answer,) = await sent(Lane(), draft(ada, chat))

    assert isinstance(answer, Stored)
    assert rows.outbox_of(chat) == [("messages.stored", 1, 1)], "the outbox brings the members what they were not told"


async def test_batch_size_is_bounded(told: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    counted = Counted("test")

    answers = await sent(lane_on(counted), *[draft(ada, chat) for _ in range(ingest.MOST + 1)])

    assert counted.count == 2
    assert [a.seq for a in answers if isinstance(a, Stored)] == list(range(1, ingest.MOST + 2))


async def test_published_message_has_all_sent_fields(told: list[Event]) -> None:
    ada, bob = someone("Ada"), someone()
    chat = direct(ada, bob)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client_id = str(uuid4())
    wanted = draft(
        ada,
        chat,
        "😀 e\u0301\n",
        client_id=client_id,
        mentions=[str(bob.id), str(bob.id)],
        priority="urgent",
        traceparent=trace,
    )

    (stored,) = await sent(Lane(), wanted)

    assert isinstance(stored, Stored)
    row = Message.objects.get(id=stored.id)
    assert (row.content, str(row.client_id), row.mentions, row.priority) == (
        "😀 e\u0301\n",
        client_id,
        [bob.id],
        "urgent",
    )
    assert (row.traceparent, row.content_type, row.status, row.version) == (trace, "text", "active", 1)
    assert trace in told[-1].frame.decode()


def lane_on(connected: PreparedConnection) -> Lane:
    """Return a lane on a connection that misbehaves."""
    lane = Lane()
    lane._database = connected
    return lane


class Counted(PreparedConnection):
    """Counts the storing statements."""

    count = 0

    async def _execute(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        self.count += sql == ingest.STORE
        return await super()._execute(sql, values)


class LosesTheFirstAnswer(PreparedConnection):
    """Stands in for a network that breaks between PostgreSQL's commit and its answer."""

    lost = False

    async def _execute(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        rows = await super()._execute(sql, values)
        if sql == ingest.STORE and not self.lost:
            self.lost = True
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return rows


class Away(PreparedConnection):
    """Stands in for a PostgreSQL that refuses connections when it should store."""

    async def _execute(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        if sql == ingest.STORE:
            raise psycopg.OperationalError("connection refused")
        return await super()._execute(sql, values)


def is_blocked(pid: int) -> bool:
    """Say whether a session waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid])
        return bool(cursor.fetchone()[0])
