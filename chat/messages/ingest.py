"""The send path: waiting messages are stored by one statement and one commit, then acked and published.

An ack is proof of the commit. What must follow (fan-out to other systems) stands in the outbox, written by the same
statement. In a web process sends join the batch in flight; elsewhere (`store`) they are stored in the caller's own
transaction and told when it commits.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection as django_connection
from django.db import transaction

from chat.drafts import Draft, Stored
from chat.events import publish_stored
from chat.frames import wire_json
from chat.messages import entities, strangers
from chat.messages.content_types import WORDED
from chat.refusals import REFUSALS, AttachmentRejected, ClockAhead, UrgentLimit
from gateway import codec, hub, limits
from gateway.async_database import PreparedConnection, array
from gateway.batching import Batcher
from gateway.errors import RateLimited, Refused
from gateway.ids import ConversationId
from gateway.limits import Charge, Window

logger = logging.getLogger(__name__)
MOST = 64
# The wire's field that such a refusal is about.
FIELDS: dict[type[Refused], str] = {ClockAhead: "lastSeenSeq", AttachmentRejected: "attachments"}
# While PostgreSQL writes one lane's batch, the process reads and acks for the other. A conversation keeps to one lane:
# its messages are stored in the order in which they came.
LANES = 3

# The function stands in migration 0003 (chat_ingest). Index use: message_once, member_once, the primary keys.
STORE = """
SELECT outcome, id, seq, rev, created_at, members_version, hidden, blockers, sender_name, reply_sender, reply_excerpt,
       root, attachments
FROM chat_ingest(%s::bigint[], %s::bigint[], %s::uuid[], %s::text[], %s::text[], %s::jsonb[], %s::bigint[], %s::text[],
                 %s::text[], %s::bigint[], %s::text[], %s::boolean[], %s::text[], %s::boolean)
"""
# Index: message_once.
REPEATED = """
SELECT i.place, m.id, m.seq, m.rev, m.created_at
FROM unnest(%s::bigint[], %s::bigint[], %s::uuid[]) WITH ORDINALITY AS i (conversation_id, sender_id, client_id, place)
JOIN chat_message m ON m.conversation_id = i.conversation_id AND m.sender_id = i.sender_id AND m.client_id = i.client_id
"""


class Lane:
    """A writer: its batches one after the other, on its own database connection."""

    def __init__(self) -> None:
        self._database = PreparedConnection("ingest")
        self._batcher: Batcher[Draft, Stored] = Batcher(self._work, most=MOST)

    def submit(self, draft: Draft) -> "asyncio.Future[Stored]":
        """Queue a draft; the future brings what was stored, or raises Refused."""
        return self._batcher.submit(draft)

    async def _work(self, drafts: Sequence[Draft]) -> list[Stored | BaseException]:
        answers: list[Stored | BaseException | None] = list(await self._within_limits(drafts))
        await self._first_answers(drafts, answers)
        going = [place for place, answer in enumerate(answers) if answer is None]
        # A frame sent twice in one batch is one message: the second gets the first's answer.
        first: dict[tuple[int, int, UUID], int] = {}
        for place in going:
            first.setdefault(_key(drafts[place]), place)
        unique = list(first.values())
        results = await self._store([_with_everyone(drafts[place]) for place in unique]) if unique else []
        for place, result in zip(unique, results, strict=True):
            answers[place] = result
        for place in going:
            original = first[_key(drafts[place])]
            if place != original:
                answers[place] = _as_duplicate(answers[original])
        return answers  # type: ignore[return-value]

    async def _within_limits(self, drafts: Sequence[Draft]) -> list[Refused | None]:
        """Charge the senders (F283, F284, F292). Return a refusal for each message that must not be stored."""
        unknown = await strangers.unknown_pairs([(d.sender_id, d.conversation_id) for d in drafts], self._database.rows)
        charges = [_charges(draft, (draft.sender_id, draft.conversation_id) in unknown) for draft in drafts]
        flat = [charge for group in charges for charge in group]
        waits = iter(await limits.charge(flat))
        return [refusal_of([next(waits) for _ in group], draft) for draft, group in zip(drafts, charges, strict=True)]

    async def _first_answers(self, drafts: Sequence[Draft], answers: list[Stored | BaseException | None]) -> None:
        """Give refused messages that had been stored before their first answer, which never changes."""
        refused = [place for place, answer in enumerate(answers) if answer is not None]
        if not refused:
            return
        senders = [drafts[place] for place in refused]
        keys = zip(*map(_key, senders), strict=True)
        for place, id_, seq, rev, at in await self._database.rows(REPEATED, [array(column) for column in keys]):
            answers[refused[place - 1]] = Stored("duplicate", id_, seq, rev, at, 0, False, [], "", None, None)

    async def _store(self, drafts: Sequence[Draft]) -> list[Stored | BaseException]:
        self._database.broke = False
        try:
            stored = await self._once(drafts)
        except psycopg.Error:
            if len(drafts) == 1:
                logger.exception("ingest: a message could not be stored")
                raise
            # One of them fails the statement: store each on its own, so that only that one fails.
            return [answer for draft in drafts for answer in await self._singly(draft)]
        try:
            # After a broken connection the first try may have been committed: its duplicates are not published yet.
            publish_stored(drafts, stored, duplicates=self._database.broke)
        except Exception:
            # A stored message must be acked: the outbox publishes it again.
            logger.exception("ingest: %s messages were stored but not published", len(stored))
        return [_answer_of(result) for result in stored]

    async def _singly(self, draft: Draft) -> list[Stored | BaseException]:
        try:
            return await self._store([draft])
        except psycopg.Error as fault:
            return [fault]

    async def _once(self, drafts: Sequence[Draft]) -> list[Stored]:
        try:
            rows = await self._database.rows(STORE, _columns(drafts, careful=False))
        except psycopg.errors.UniqueViolation:
            # Somebody repeats a message: nothing of this try was stored, and now duplicates are looked for.
            rows = await self._database.rows(STORE, _columns(drafts, careful=True))
            return [Stored(*row) for row in rows]
        stored = [Stored(*row) for row in rows]
        refused = [place for place, result in enumerate(stored) if result.outcome != "stored"]
        if refused:
            # A refused message may have been stored before: a repetition gets its first answer, however late.
            columns = _columns([drafts[place] for place in refused], careful=True)
            for place, row in zip(refused, await self._database.rows(STORE, columns), strict=True):
                stored[place] = Stored(*row)
        return stored


def store(draft: Draft) -> Stored:
    """Store one draft from a thread, and wait for it. Raises Refused.

    In a web process it joins the batches; in any other it runs in the caller's transaction, is published when that commits,
    and vanishes with it when it does not.
    """
    if hub.running():
        return hub.current().call(partial(_lane_submit, draft))
    waits = limits.charge_in_thread(_charges(draft, strangers.unknown_pair(draft.sender_id, draft.conversation_id)))
    if refusal := refusal_of(waits, draft):
        raise refusal
    return store_within(_with_everyone(draft))


def store_within(draft: Draft) -> Stored:
    """Store a draft in the transaction in progress, outside all limits; it is published when that commits. Raises Refused.

    For system messages, which are part of the change that they tell of.
    """
    with transaction.atomic(), django_connection.cursor() as cursor:
        cursor.execute(STORE, _columns([draft], careful=True))
        *columns, attachments = cursor.fetchone()
        stored = Stored._make((*columns, wire_json(attachments)))
        transaction.on_commit(partial(publish_stored, [draft], [stored]))
    answer = _answer_of(stored)
    if isinstance(answer, BaseException):
        raise answer
    return answer


async def _lane_submit(draft: Draft) -> Stored:
    return await lane_of(draft.conversation_id).submit(draft)


_lanes: list[Lane] = []


def lane_of(conversation_id: ConversationId) -> Lane:
    """Return a conversation's lane; all of a web process is one event loop."""
    if not _lanes:
        _lanes.extend(Lane() for _ in range(LANES))
    return _lanes[conversation_id % LANES]


def calls_everyone(content_type: str, content: str) -> bool:
    """Return whether a message mentions all members: by its words, if it has words (F23)."""
    return content_type in WORDED and entities.mentions_everyone(content)


def _with_everyone(draft: Draft) -> Draft:
    """Return a draft that the limits let through, with `everyone` as its words say: reading those is expensive."""
    return draft._replace(everyone=True) if calls_everyone(draft.content_type, draft.content) else draft


def _key(draft: Draft) -> tuple[int, int, UUID]:
    return draft.conversation_id, draft.sender_id, draft.client_id


def _columns(drafts: Sequence[Draft], *, careful: bool) -> tuple[Any, ...]:
    return (
        array([d.conversation_id for d in drafts]),
        array([d.sender_id for d in drafts]),
        array([d.client_id for d in drafts]),
        array([d.content_type for d in drafts]),
        array([d.content for d in drafts]),
        array([codec.encode(d.data).decode() if d.data is not None else None for d in drafts]),
        array([d.reply_to for d in drafts]),
        array([array(d.mentions) if d.mentions else None for d in drafts]),
        array([d.priority for d in drafts]),
        array([d.last_seen_seq for d in drafts]),
        array([d.traceparent for d in drafts]),
        array([d.everyone for d in drafts]),
        array([array(d.attachments) if d.attachments else None for d in drafts]),
        careful,
    )


def _charges(draft: Draft, stranger: bool) -> list[Charge]:
    active = settings.LIMITS
    usual = (
        Window(active.messages_per_second, active.messages_burst),
        Window(active.messages_per_minute / 60, active.messages_per_minute),
    )
    charges = [Charge(f"ratelimit:{draft.sender_id}:messages", usual)]
    if stranger:
        per_minute = active.stranger_messages_per_minute
        charges.append(
            Charge(f"ratelimit:{draft.sender_id}:strangers", (Window(per_minute / 60, per_minute),), 1, True)
        )
    if draft.priority == "urgent":
        per_hour = active.urgent_per_hour
        charges.append(Charge(f"ratelimit:{draft.sender_id}:urgent", (Window(per_hour / 3600, per_hour),), 1, True))
    return charges


def refusal_of(waits: Sequence[float], draft: Draft) -> Refused | None:
    """Return the refusal of a draft whose limits (those of `_charges`, in order) ask for waits, None for none."""
    if draft.priority == "urgent" and waits[-1] > 0:
        return UrgentLimit(retry_after=waits[-1])
    return RateLimited(retry_after=max(waits)) if max(waits) > 0 else None


def _answer_of(stored: Stored) -> Stored | BaseException:
    if stored.outcome in ("stored", "duplicate"):
        return stored
    refusal = REFUSALS[stored.outcome]
    return refusal(field=FIELDS.get(refusal))


def _as_duplicate(answer: Stored | BaseException | None) -> Stored | BaseException | None:
    return answer._replace(outcome="duplicate") if isinstance(answer, Stored) else answer
