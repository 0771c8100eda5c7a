"""The limits of a run measure what they claim to, on a real PostgreSQL and a real uvicorn."""

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


@pytest.fixture
def conversation() -> int:
    """A direct chat with five messages."""
    one, other = someone(), someone()
    chat = direct(one, other)
    for number in range(5):
        store([draft(one, chat, f"message {number}")])
    return chat


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


def test_select_limit_counts_the_cpu_of_a_row(dsn: str, conversation: int) -> None:
    found = limits.measure_selects(dsn, [conversation], 0.3)
    assert found.per_s > 0
    # Client and backend take turns, so they never spend more than one core; 10 % allow for the clock's ticks.
    assert 0 < found.cpu_ms <= 1.1 * 1000 / found.per_s


def test_echo_limit_counts_the_cpu_of_the_server_alone() -> None:
    found = limits.measure_echo(0.5)
    assert found.per_s > 0
    assert 0 < found.cpu_ms <= 1.1 * 1000 / found.per_s, "one thread cannot spend more than one core"
