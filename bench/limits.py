"""The limits of a run, measured in the same run: batched inserts and bare SELECTs in PostgreSQL, and a bare echo.

Each does one part of the work of a scenario and nothing else, on the same machine and the same PostgreSQL.
"""

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import psycopg

from bench.cost import cpu_seconds, pss_kb
from bench.ports import free_port, wait_for_port
from bench.wire import Link, Loop, encode_frame

BATCH = 100
CONTENT = "x" * 80
CONNECTIONS = 100
# An echo is two frames, one in and one out. A message is five: send, ack, delivery, delivered mark, receipt.
ECHOES_PER_MESSAGE = 2.5
# As config/serve.py starts uvicorn, without the product.
UVICORN = ("--ws", "websockets-sansio", "--ws-per-message-deflate", "false", "--loop", "uvloop", "--no-access-log")

TABLE = """
CREATE TABLE bench_limit (
    conversation_id bigint NOT NULL,
    seq             bigint NOT NULL,
    id              bigint NOT NULL,
    sender_id       bigint NOT NULL,
    client_id       uuid NOT NULL,
    content         text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, seq),
    UNIQUE (conversation_id, sender_id, client_id)
)
"""
INSERT = """
INSERT INTO bench_limit (conversation_id, seq, id, sender_id, client_id, content)
SELECT n %% 400, n, n, n %% 400, client_id, %(content)s
FROM unnest(%(numbers)s::bigint[], %(client_ids)s::uuid[]) AS message (n, client_id)
"""
# By chat_message's primary key (conversation_id, seq): the columns that any reader of a message needs.
SELECT = """
SELECT seq, rev, id, sender_id, client_id, content, created_at
FROM chat_message
WHERE conversation_id = %(conversation)s
  AND seq > 0
ORDER BY seq
"""


@dataclass(frozen=True)
class Limit:
    """Units a second, and the CPU of each in milliseconds."""

    per_s: float
    cpu_ms: float


class Limits(NamedTuple):
    """The limits that every scenario with a load measures first: a row inserted, a frame echoed."""

    inserts: Limit
    echo: Limit

    @property
    def message_cpu_ms(self) -> float:
        """Return the least CPU of a stored and delivered message, in milliseconds (docs/performance.md)."""
        return ECHOES_PER_MESSAGE * self.echo.cpu_ms + self.inserts.cpu_ms


def measure_inserts(dsn: str, postgres_pid: int, seconds: float) -> Limit:
    """Insert message-like rows, a hundred a transaction, over one connection, as fast as possible.

    The CPU is that of all PostgreSQL processes: commits also cost the WAL writer.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bench_limit")
        connection.execute(TABLE)
        before = cpu_seconds([postgres_pid])[postgres_pid]
        start, rows = time.monotonic(), 0
        while time.monotonic() - start < seconds:
            numbers = list(range(rows, rows + BATCH))
            ids = [uuid.uuid4() for _ in numbers]
            connection.execute(INSERT, {"content": CONTENT, "numbers": numbers, "client_ids": ids})
            rows += BATCH
        took = time.monotonic() - start
        cpu = cpu_seconds([postgres_pid])[postgres_pid] - before
        connection.execute("DROP TABLE bench_limit")
    return Limit(rows / took, cpu / rows * 1000)


def measure_selects(dsn: str, conversation_ids: Sequence[int], seconds: float) -> Limit:
    """Read all messages of these conversations, one statement each, over one connection, as often as `seconds` allow.

    The CPU of a row is that of the connection's backend and of this process, which reads the rows.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        backend = connection.info.backend_pid
        before, start, rows = cpu_seconds([backend])[backend] + time.process_time(), time.monotonic(), 0
        while time.monotonic() - start < seconds:
            for conversation in conversation_ids:
                rows += len(connection.execute(SELECT, {"conversation": conversation}, prepare=True).fetchall())
        took = time.monotonic() - start
        cpu = cpu_seconds([backend])[backend] + time.process_time() - before
    return Limit(rows / took, cpu / rows * 1000)


class EchoClient(Link):
    """Sends a frame again each time that it comes back."""

    __slots__ = ("frame", "tally")

    def __init__(self, loop: Loop, port: int, payload: bytes, tally: list[int]) -> None:
        self.frame, self.tally = payload, tally
        super().__init__(loop, ("127.0.0.1", port), "/", {})

    def on_open(self) -> None:
        self.write(self.frame)

    def on_text(self, body: bytes) -> None:
        self.tally[0] += 1
        self.write(self.frame)


@contextmanager
def run_bare_server() -> Iterator[tuple[int, int]]:
    """Run a bare uvicorn until the block ends; yield its port and process id."""
    port = free_port()
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "bench.echo:application",
            "--port",
            str(port),
            "--log-level",
            "warning",
            *UVICORN,
        ]
    )
    try:
        wait_for_port(port, server)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait()


def measure_echo(seconds: float) -> Limit:
    """Let a bare uvicorn echo frames of a message's size, over a hundred connections with one frame in flight each.

    The CPU is that of the uvicorn process alone.
    """
    with run_bare_server() as (port, pid):
        return _exchange_frames(port, pid, seconds)


def measure_connection_kb(connections: int = 1000) -> float:
    """Return the memory that a connection adds to a bare uvicorn, in KiB of PSS, after one echoed frame."""
    with run_bare_server() as (port, pid):
        before = pss_kb(pid)
        loop, tally = Loop(), [0]
        links = [EchoClient(loop, port, encode_frame(b"x"), tally) for _ in range(connections)]
        loop.run(lambda: all(link.open for link in links) and tally[0] > connections)
        grown = pss_kb(pid) - before
        for link in links:
            link.close(1000, "")
    return grown / connections


def _exchange_frames(port: int, pid: int, seconds: float) -> Limit:
    loop, tally = Loop(), [0]
    payload = encode_frame(b'{"type":"message.send","payload":{"content":"%s"}}' % (b"x" * 180))
    links = [EchoClient(loop, port, payload, tally) for _ in range(CONNECTIONS)]
    loop.run(lambda: tally[0] > CONNECTIONS * 10)
    before, first, start = cpu_seconds([pid])[pid], tally[0], time.monotonic()
    loop.run(lambda: False, deadline=time.monotonic_ns() + int(seconds * 1e9))
    took, echoed = time.monotonic() - start, tally[0] - first
    cpu = cpu_seconds([pid])[pid] - before
    for link in links:
        link.close(1000, "")
    return Limit(echoed / took, cpu / echoed * 1000)
