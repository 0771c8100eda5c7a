"""The limits of a run are measured as docs/performance.md says, on a real PostgreSQL and a real uvicorn."""

import psycopg
import pytest
from django.db import connection
from psycopg.conninfo import make_conninfo

from bench import limits
from tests.factories import direct, draft, someone, store


@pytest.fixture
def dsn() -> str:
    own = connection.settings_dict
    return make_conninfo(
        dbname=own["NAME"], user=own["USER"], password=own["PASSWORD"], host=own["HOST"], port=own["PORT"]
    )


def create_conversation(messages: int) -> int:
    """Return a direct chat with so many messages."""
    one, other = someone(), someone()
    chat = direct(one, other)
    for number in range(messages):
        store([draft(one, chat, f"message {number}")])
    return chat


@pytest.fixture
def conversation() -> int:
    return create_conversation(5)


def test_select_limit_reads_all_messages_of_a_conversation_in_order(dsn: str, conversation: int) -> None:
    with psycopg.connect(dsn) as session:
        rows = session.execute(limits.SELECT, {"conversation": conversation}).fetchall()
    assert [(row[0], row[5]) for row in rows] == [(number + 1, f"message {number}") for number in range(5)]


def test_select_limit_uses_the_primary_key(dsn: str, conversation: int) -> None:
    with psycopg.connect(dsn) as session:
        session.execute("SET enable_seqscan = off")
        session.execute("SET enable_sort = off")
        plan = session.execute("EXPLAIN " + limits.SELECT, {"conversation": conversation}).fetchall()
    assert "_pkey" in str(plan) or "message_key" in str(plan), plan


def test_select_limit_is_the_cpu_of_a_row_and_not_of_a_statement(dsn: str) -> None:
    short, long = create_conversation(1), create_conversation(100)
    row, row_of_hundred = (limits.measure_selects(dsn, [chat], 0.3) for chat in (short, long))
    assert 0 < row_of_hundred.cpu_ms < row.cpu_ms / 2
    assert row_of_hundred.per_s > row.per_s


def test_echo_limit_counts_the_cpu_of_the_server_alone() -> None:
    limit = limits.measure_echo(0.5)
    assert limit.per_s > 0
    assert 0 < limit.cpu_ms <= 1.1 * 1000 / limit.per_s, "one thread cannot spend more than one core"
