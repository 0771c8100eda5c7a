"""The way of a message, for "why did Bob not see it?": stored, published, handed over by which gateway to which
connection, acked by which device, seen, and what hides it.

For its sender as far as settings and blocks let; for staff all of it, with a row of who looked and why. Never what it says.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import connection

from accounts import privacy
from accounts.models import User
from chat.access import member_of
from chat.frames import wire_time
from chat.messages import history
from gateway import codec, delivery_query
from gateway.delivery_log import Delivery, DeliveryReport
from gateway.delivery_query import QueryResult
from gateway.errors import Forbidden, InvalidPayload
from gateway.frames import Session
from receipts import queries
from receipts.bodies import ConnectionTrace, DeviceTrace, GatewayTrace, RecipientTrace, Trace
from receipts.models import Inspection
from receipts.queries import PAGE, STRICT, Subject
from receipts.states import State

logger = logging.getLogger(__name__)
MOST_REASON = 500
# All recipients in the order of their ids, each with every device that has reported anything of the message, and the rules
# that keep something from its sender. Indexes: member_once, lane_key, log_key, block_unique.
WAY = f"""
WITH recipient AS MATERIALIZED (
    SELECT m.user_id, m.conversation_id, m.delivered_seq >= %(seq)s AS delivered, m.read_seq >= %(seq)s AS seen
    FROM chat_member m
    WHERE m.conversation_id = %(conversation)s AND m.left_seq IS NULL AND m.user_id <> %(sender)s
      AND m.joined_seq < %(seq)s AND m.user_id > %(after)s
    ORDER BY m.user_id LIMIT %(limit)s
)
SELECT r.user_id, r.delivered, r.seen, g.device_id, g.state, g.at, COALESCE(d.{STRICT}, false) AS strict,
       COALESCE(NOT p.send_read_receipts, false) AS quiet, b.id IS NOT NULL AS blocked
FROM recipient r
LEFT JOIN LATERAL (
    SELECT l.device_id, x.state, x.at
    FROM receipts_lane l
    CROSS JOIN LATERAL (
        SELECT log.state, log.at, log.from_seq FROM receipts_log log
        WHERE log.conversation_id = l.conversation_id AND log.user_id = l.user_id AND log.device_id = l.device_id
          AND log.state = l.state AND log.to_seq >= %(seq)s
        ORDER BY log.to_seq LIMIT 1) x
    WHERE l.conversation_id = r.conversation_id AND l.user_id = r.user_id AND x.from_seq <= %(seq)s) g ON true
LEFT JOIN accounts_device d ON d.id = g.device_id
LEFT JOIN accounts_privacy p ON p.user_id = r.user_id
LEFT JOIN accounts_block b ON b.blocker_id = r.user_id AND b.blocked_id = %(sender)s
ORDER BY r.user_id, g.device_id, g.state
"""  # noqa: S608
# Index: the primary key of a table that is empty most of the time.
UNPUBLISHED = """
SELECT EXISTS (SELECT FROM chat_outbox o WHERE o.conversation_id = %(conversation)s AND o.event = 'messages.stored'
               AND %(seq)s BETWEEN o.from_seq AND o.to_seq)
"""


def for_sender(viewer: Session, message_id: int, *, after: int = 0) -> Trace:
    """Return the way of one's own message, as far as one may know it. Raises NotFound, NotAMember, Forbidden."""
    message = history.message_by_id(viewer.user_id, message_id)
    member_of(viewer.user_id, int(message.chat_id))
    if message.sender.id != str(viewer.user_id):
        raise Forbidden("only its sender may ask for the way of a message")
    subject = queries.subject(message_id)
    if not subject.named:
        raise Forbidden("this chat lists no names")
    receipts = queries.receipts(viewer, message_id, after=after)
    state = queries.delivery_state(viewer, message_id)
    times = {(r.recipient_id, r.device_id, r.state): r.timestamp for r in receipts.results}
    shown = privacy.on_device(viewer.user_id, viewer.device_id).show_read_receipts
    rows = _way(subject, after)
    recipients = []
    for user, group in groupby(rows, key=lambda row: row[0]):
        quiet = next(group)[7]
        hidden_by = [name for name, on in (("sendReadReceipts", quiet), ("showReadReceipts", not shown)) if on]
        devices = sorted({device for recipient, device, _ in times if recipient == str(user)})
        reached = _reached(str(user) in state.delivered_to, str(user) in state.read_by)
        named = [
            DeviceTrace(
                device_id=device,
                delivered_at=times.get((str(user), device, "delivered")),
                seen_at=times.get((str(user), device, "seen")),
            )
            for device in devices
        ]
        recipients.append(
            RecipientTrace(user_id=str(user), state=reached, devices=named, hidden_by=hidden_by, connections=None)
        )
    reported = [int(recipient.user_id) for recipient in recipients if recipient.state != State.SENT.wire]
    return _trace(subject, recipients, _ask(subject, reported), next_cursor=receipts.next_cursor)


def for_staff(viewer: Session, message_id: int, *, reason: str, after: int = 0) -> Trace:
    """Return the way of any message, and keep who looked, when and why (F124). Raises Forbidden, InvalidPayload, NotFound."""
    if not User.objects.filter(pk=viewer.user_id, is_staff=True, is_active=True).exists():
        raise Forbidden("only for staff")
    if not 1 <= len(reason.strip()) <= MOST_REASON:
        raise InvalidPayload(f"reason: why you look, 1 to {MOST_REASON} characters", field="reason")
    subject = queries.subject(message_id)
    Inspection.objects.create(staff_id=viewer.user_id, message_id=message_id, reason=reason.strip())
    logger.warning("staff %s looked at the trace of message %s", viewer.user_id, message_id)
    rows = _way(subject, after)
    groups = [(user, list(group)) for user, group in groupby(rows, key=lambda row: row[0])]
    answers = _ask(subject, [user for user, _ in groups])
    recipients = [_recipient(subject, user, group, answers) for user, group in groups]
    ends_with = queries.following(subject, after)
    return _trace(subject, recipients, answers, next_cursor=str(ends_with) if ends_with else None, hosts=True)


def _recipient(
    subject: Subject, user: int, rows: Sequence[Sequence[Any]], answers: QueryResult | None
) -> RecipientTrace:
    _, delivered, seen, _, _, _, _, quiet, blocked = rows[0]
    strict = any(row[6] for row in rows)
    rules = {
        "blocked": blocked or subject.hidden,
        "sendReadReceipts": quiet,
        "sendReadReceipts of a device": strict,
        "showReadReceipts": not privacy.of(subject.sender_id).show_read_receipts,
    }
    reached = State.SENT.wire if subject.hidden else _reached(delivered, seen)
    return RecipientTrace(
        user_id=str(user),
        state=reached,
        devices=_devices(rows),
        hidden_by=[name for name, on in rules.items() if on],
        connections=_connections(user, answers),
    )


def _devices(rows: Iterable[Sequence[Any]]) -> list[DeviceTrace]:
    times: dict[int, dict[int, datetime]] = {}
    for row in rows:
        if row[3] is not None:
            times.setdefault(row[3], {})[row[4]] = row[5]
    return [
        DeviceTrace(
            device_id=str(device),
            delivered_at=wire_time(at.get(State.DELIVERED)),
            seen_at=wire_time(at.get(State.SEEN)),
        )
        for device, at in times.items()
    ]


def _reached(delivered: bool, seen: bool) -> str:
    if seen:
        return State.SEEN.wire
    return (State.DELIVERED if delivered else State.SENT).wire


def _ask(subject: Subject, users: list[int]) -> QueryResult | None:
    """Ask all gateways what they have handed to these users; what a block hid they were not even offered."""
    wanted = [] if subject.hidden else users
    return delivery_query.ask_processes(subject.conversation_id, subject.seq, wanted) if wanted else QueryResult([], 0)


def _connections(user_id: int, answers: QueryResult | None) -> list[ConnectionTrace] | None:
    if answers is None:
        return None
    return [
        _connection(report, delivery)
        for report in answers.reports
        for delivery in report.deliveries
        if delivery.user_id == user_id
    ]


def _connection(report: DeliveryReport, delivery: Delivery) -> ConnectionTrace:
    return ConnectionTrace(
        gateway=report.gateway,
        connection_id=str(delivery.connection_id),
        device_id=str(delivery.device_id),
        opened_at=codec.unix_timestamp(delivery.opened_at) or "",
        handed_at=codec.unix_timestamp(delivery.handed_at),
        closed_at=codec.unix_timestamp(delivery.closed_at),
        close_code=delivery.code,
        waits=delivery.waits,
    )


def _gateways(answers: QueryResult | None, *, hosts: bool) -> list[GatewayTrace] | None:
    if answers is None:
        return None
    return [
        GatewayTrace(
            gateway=report.gateway,
            host=report.host if hosts else None,
            told_at=codec.unix_timestamp(report.told_at) or "",
            summed=report.summed,
        )
        for report in answers.reports
        if any(delivery.handed_at is not None for delivery in report.deliveries)
    ]


def _way(subject: Subject, after: int) -> list[tuple[Any, ...]]:
    values = {
        "conversation": subject.conversation_id,
        "seq": subject.seq,
        "sender": subject.sender_id,
        "after": after,
        "limit": PAGE,
    }
    with connection.cursor() as cursor:
        cursor.execute(WAY, values)
        return list(cursor.fetchall())


def _trace(
    subject: Subject,
    recipients: list[RecipientTrace],
    answers: QueryResult | None,
    *,
    next_cursor: str | None,
    hosts: bool = False,
) -> Trace:
    with connection.cursor() as cursor:
        cursor.execute(UNPUBLISHED, {"conversation": subject.conversation_id, "seq": subject.seq})
        (waiting,) = cursor.fetchone()
    return Trace(
        message_id=str(subject.id),
        chat_id=str(subject.conversation_id),
        seq=subject.seq,
        stored_at=wire_time(subject.created_at) or "",
        published=not waiting,
        traceparent=subject.traceparent,
        gateways=_gateways(answers, hosts=hosts),
        silent_gateways=answers.silent if answers else 0,
        recipients=recipients,
        next_cursor=next_cursor,
        has_more=next_cursor is not None,
    )
