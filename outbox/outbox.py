"""Recording an event: one row, written in the transaction of its cause, so that both commit or neither does."""

import msgspec
from django.db import connection, transaction

from outbox.events import OutboxEvent
from outbox.nudge import nudge

RECORD = "INSERT INTO chat_outbox (event, data) VALUES (%(event)s, %(data)s)"


def record(event: OutboxEvent) -> None:
    """Write an event's row with one INSERT in the current transaction, and nudge the worker when that commits.

    Raises RuntimeError outside of a transaction: the event could be recorded without its cause, or the reverse.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(f"{event.name} is recorded in the transaction of its cause, and there is none")
    with connection.cursor() as cursor:
        cursor.execute(RECORD, {"event": event.name, "data": msgspec.json.encode(event).decode()})
    transaction.on_commit(nudge)
