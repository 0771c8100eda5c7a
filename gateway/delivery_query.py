"""A query to all web processes for the deliveries of a message: published on the bus, answered into a list in Redis."""

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
ASKED = "inquiry"
TIMEOUT = 1.0
ANSWER_TTL = 10


class Query(msgspec.Struct, array_like=True):
    """The message, and the Redis key of the list for the answers. The users are in the notice (`Event.about`)."""

    key: str
    conversation_id: int
    seq: int


class QueryResult(NamedTuple):
    """The reports of the processes that answered; `silent` processes did not answer in time."""

    reports: list[DeliveryReport]
    silent: int


def ask_processes(conversation_id: int, seq: int, users: Sequence[int]) -> QueryResult | None:
    """Ask all processes for their deliveries of a message to some users. Return None if Redis is unavailable.

    Blocks its thread for TIMEOUT seconds at most.
    """
    key = f"inquiry:{uuid.uuid4().hex}"
    # A process without a hub does not know the number of processes, so it waits for the whole timeout.
    expected = hub.current().bus.process_count() if hub.running() else None
    publish.notice(ASKED, list(users), msgspec.msgpack.encode(Query(key, conversation_id, seq)))
    reports: list[DeliveryReport] = []
    ends_at = time.monotonic() + TIMEOUT
    try:
        while (expected is None or len(reports) < expected) and (left := ends_at - time.monotonic()) > 0:
            reply: Any = thread_client().blpop([key], timeout=min(left, TIMEOUT / 2))
            if reply is not None:
                reports.append(msgspec.msgpack.decode(reply[1], type=DeliveryReport))
    except (RedisError, OSError) as fault:
        logger.warning("inquiry: Redis is unavailable (%s)", type(fault).__name__)
        return None
    return QueryResult(sorted(reports, key=_gateway), max(0, (expected or 0) - len(reports)))


def answer(event: Event) -> None:
    """Answer a query. Listens to the notice `inquiry`, on the event loop."""
    local_hub = hub.current()
    query = msgspec.msgpack.decode(event.data, type=Query)
    origin = local_hub.bus.origin[:8]
    report = local_hub.delivery_log.report(origin, query.conversation_id, query.seq, event.about, local_hub.users)
    local_hub.spawn(_answer(query.key, report))


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


NOTICES = {ASKED: answer}
