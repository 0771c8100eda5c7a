"""A question to every web process: what have you handed to whom? Asked over the bus, answered into a list in Redis."""

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
from gateway.stores import loop_client, thread_client

logger = logging.getLogger(__name__)
ASKED = "inquiry"
PATIENCE = 1.0
KEPT_SECONDS = 10


class Question(msgspec.Struct, array_like=True):
    """Which message, and the Redis key of the list that takes the answers; the users stand in the notice."""

    key: str
    conversation_id: int
    seq: int


class Answers(NamedTuple):
    """What the processes know; `silent` of them have not answered in time."""

    accounts: list[DeliveryReport]
    silent: int


def ask(conversation_id: int, seq: int, users: Sequence[int]) -> Answers | None:
    """Ask all processes about a message and some users, from a thread; a second at most. None while Redis is away."""
    key = f"inquiry:{uuid.uuid4().hex}"
    # A process without a hub does not know how many there are: it waits for as long as anybody may take.
    expected = hub.current().bus.company() if hub.running() else None
    publish.notice(ASKED, list(users), msgspec.msgpack.encode(Question(key, conversation_id, seq)))
    found: list[DeliveryReport] = []
    ends_at = time.monotonic() + PATIENCE
    try:
        while (expected is None or len(found) < expected) and (left := ends_at - time.monotonic()) > 0:
            answer: Any = thread_client().blpop([key], timeout=min(left, PATIENCE / 2))
            if answer is not None:
                found.append(msgspec.msgpack.decode(answer[1], type=DeliveryReport))
    except (RedisError, OSError) as fault:
        logger.warning("inquiry: Redis is away (%s)", type(fault).__name__)
        return None
    return Answers(sorted(found, key=_gateway), max(0, (expected or 0) - len(found)))


def asked(event: Event) -> None:
    """Answer a question, as the notice `inquiry` brings it; on the event loop."""
    here = hub.current()
    question = msgspec.msgpack.decode(event.data, type=Question)
    account = here.delivery_log.report(
        here.bus.origin[:8], question.conversation_id, question.seq, event.about, here.users
    )
    here.spawn(_answer(question.key, account))


async def _answer(key: str, account: DeliveryReport) -> None:
    try:
        async with loop_client().pipeline(transaction=True) as pipe:
            pipe.rpush(key, msgspec.msgpack.encode(account))
            pipe.expire(key, KEPT_SECONDS)
            await pipe.execute()
    except (RedisError, OSError) as fault:
        logger.warning("inquiry: not answered (%s)", type(fault).__name__)


def _gateway(account: DeliveryReport) -> str:
    return account.gateway
