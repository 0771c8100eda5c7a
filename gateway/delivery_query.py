"""A query to every web process: what have you handed to whom? Asked over the bus, answered into a list in Redis."""

import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from redis import RedisError

from gateway import hub, publish
from gateway.bus import Event
from gateway.delivery_log import DeliveryReport
from gateway.redis_clients import loop_client, thread_client

logger = logging.getLogger(__name__)
NOTICE = "inquiry"
TIMEOUT = 1.0
ANSWER_TTL = 10


class Query(msgspec.Struct, array_like=True):
    """Which message, and the Redis key of the list that takes the answers; the users stand in the notice."""

    key: str
    conversation_id: int
    seq: int


class QueryResult(NamedTuple):
    """What the processes know; `silent` of them have not answered in time."""

    reports: list[DeliveryReport]
    silent: int


def ask_processes(conversation_id: int, seq: int, users: Sequence[int]) -> QueryResult | None:
    """Ask all processes about a message and some users, from a thread; a second at most. None while Redis is away."""
    key = f"inquiry:{uuid.uuid4().hex}"
    # A process without a hub does not know how many there are: it waits for as long as anybody may take.
    expected = hub.current().bus.process_count() if hub.running() else None
    publish.notice(NOTICE, list(users), msgspec.msgpack.encode(Query(key, conversation_id, seq)))
    reports: list[DeliveryReport] = []
    ends_at = time.monotonic() + TIMEOUT
    try:
        while (expected is None or len(reports) < expected) and (left := ends_at - time.monotonic()) > 0:
            reply: Any = thread_client().blpop([key], timeout=min(left, TIMEOUT / 2))
            if reply is not None:
                reports.append(msgspec.msgpack.decode(reply[1], type=DeliveryReport))
    except (RedisError, OSError) as fault:
        logger.warning("inquiry: Redis is away (%s)", type(fault).__name__)
        return None
    return QueryResult(sorted(reports, key=_gateway), max(0, (expected or 0) - len(reports)))


def answer(event: Event) -> None:
    """Answer a query, as the notice `inquiry` brings it; on the event loop."""
    local = hub.current()
    query = msgspec.msgpack.decode(event.data, type=Query)
    report = local.delivery_log.report(local.bus.origin[:8], query.conversation_id, query.seq, event.about, local.users)
    local.spawn(_answer(query.key, report))


async def _answer(key: str, report: DeliveryReport) -> None:
    try:
        async with loop_client().pipeline(transaction=True) as pipe:
            pipe.rpush(key, msgspec.msgpack.encode(report))
            pipe.expire(key, ANSWER_TTL)
            await pipe.execute()
    except (RedisError, OSError) as fault:
        logger.warning("inquiry: not answered (%s)", type(fault).__name__)


def _gateway(report: DeliveryReport) -> str:
    return report.gateway
