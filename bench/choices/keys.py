"""Decision 0003: the cost of foreign keys on the message table, for a message stored by the real `chat_ingest`.

Runs on its own embedded PostgreSQL with the project's migrations; the same batches with and without keys in turn.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from gateway.ids import ConversationId, UserId

os.environ.setdefault("PARLEY_DEMO", "1")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

import psycopg  # noqa: E402

from bench.choices.machine import machine  # noqa: E402
from bench.cost import cpu_seconds  # noqa: E402
from chat.drafts import Draft  # noqa: E402
from chat.messages import ingest  # noqa: E402
from config.embedded.running import running  # noqa: E402

CONVERSATIONS = 500
BATCH = 50
BATCHES = 300
ROUNDS = 5
PEOPLE = """
INSERT INTO accounts_user (password, is_superuser, email, display_name, name_key, avatar_url)
SELECT '', false, 'user' || n || '@example.org', 'User ' || n, 'user ' || n, '' FROM generate_series(1, %(users)s) n
RETURNING id
"""
CONVERSATION = """
INSERT INTO chat_conversation (kind, direct_key, created_by_id, name, topic, avatar_url, shares_history, last_seq, rev,
                               members_version, member_count, next_n, metadata)
VALUES ('direct', %(key)s, %(one)s, '', '', '', true, 0, 1, 1, 2, 3, '{}') RETURNING id
"""
MEMBER = """
INSERT INTO chat_member (conversation_id, user_id, n, role, joined_seq, read_seq, delivered_seq)
VALUES (%(conversation)s, %(user)s, %(n)s, 'member', 0, 0, 0)
"""
ADD = """
ALTER TABLE chat_message
    ADD CONSTRAINT choice_conversation FOREIGN KEY (conversation_id) REFERENCES chat_conversation (id),
    ADD CONSTRAINT choice_sender FOREIGN KEY (sender_id) REFERENCES accounts_user (id)
"""
DROP = "ALTER TABLE chat_message DROP CONSTRAINT choice_conversation, DROP CONSTRAINT choice_sender"
Pairs = list[tuple[int, int]]


def populate(database: "psycopg.Connection[Any]") -> Pairs:
    """Create direct conversations; return (conversation, sender) of each."""
    users = [row[0] for row in database.execute(PEOPLE, {"users": 2 * CONVERSATIONS}).fetchall()]
    pairs: Pairs = []
    for one, other in zip(users[::2], users[1::2], strict=True):
        row = database.execute(CONVERSATION, {"key": f"{one}:{other}", "one": one}).fetchone()
        assert row is not None
        for n, user in enumerate((one, other), start=1):
            database.execute(MEMBER, {"conversation": row[0], "user": user, "n": n})
        pairs.append((row[0], one))
    return pairs


def store(database: "psycopg.Connection[Any]", pairs: Pairs) -> tuple[float, float]:
    """Store BATCHES batches, a transaction each; return microseconds a message: the backend's CPU, and elapsed."""
    backend = database.info.backend_pid
    before, began = cpu_seconds([backend])[backend], time.monotonic()
    for number in range(BATCHES):
        some = [pairs[(number * BATCH + step) % len(pairs)] for step in range(BATCH)]
        drafts = [draft(conversation, sender) for conversation, sender in some]
        values = ingest._columns(drafts, careful=False)
        outcomes = {row[0] for row in database.execute(ingest.STORE, values, prepare=True).fetchall()}
        assert outcomes == {"stored"}, outcomes
    messages = BATCH * BATCHES
    return 1e6 * (cpu_seconds([backend])[backend] - before) / messages, 1e6 * (time.monotonic() - began) / messages


def draft(conversation: int, sender: int) -> Draft:
    return Draft(
        conversation_id=ConversationId(conversation), sender_id=UserId(sender), client_id=uuid.uuid4(), content_type="text", content="x" * 80,
        data=None, reply_to=None, mentions=(), priority="normal", last_seen_seq=None, traceparent=None,
    )  # fmt: skip


def migrate_database(var: Path, database_url: str, redis_url: str) -> None:
    environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "PARLEY_DEMO": "1", "PARLEY_VAR": str(var)}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, env={**os.environ, **environ}, check=True)


def main() -> None:
    costs: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory(prefix="parley-keys-") as folder:
        var = Path(folder)
        with running(var, database_url="", redis_url="") as (database_url, redis_url):
            migrate_database(var, database_url, redis_url)
            with psycopg.connect(database_url, autocommit=True) as database:
                pairs = populate(database)
                database.execute("ANALYZE")
                store(database, pairs)  # warm-up, not counted
                for _ in range(ROUNDS):
                    costs["without"].append(store(database, pairs))
                    database.execute(ADD)
                    costs["with"].append(store(database, pairs))
                    database.execute(DROP)
    print(machine(), f"\n{BATCHES} batches of {BATCH} messages through chat_ingest, fsync on, median of {ROUNDS}")
    for name, runs in costs.items():
        cpu, clock = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name + ' foreign keys':<22}{cpu:>8.1f} µs of the backend's CPU, {clock:>8.1f} µs of time a message")


if __name__ == "__main__":
    main()
