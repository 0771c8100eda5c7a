"""The trace of a message, for "why did Bob not see it?": stored, published, handed to which connection by which
gateway, acked by which device, seen, and which rules hide it.

A sender sees the trace as far as settings and blocks permit. Staff see all of it, and each look is recorded with its
reason. A trace never contains the message's content.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from django.db import connection

from accounts import privacy
from accounts.models import User
from chat.access import member_of
from chat.frames import wire_time
from chat.ids import MessageId
from chat.messages import history
from gateway import codec, delivery_query
from gateway.delivery_log import Delivery, DeliveryReport
from gateway.delivery_query import QueryResult
from gateway.errors import Forbidden, InvalidPayload
from gateway.frames import Session
from gateway.ids import ConversationId, DeviceId, UserId
from gateway.paging import write_cursor
from receipts import queries
from receipts.bodies import ConnectionTrace, DeviceTrace, GatewayTrace, RecipientTrace, Trace
from receipts.models import Inspection
from receipts.queries import PAGE_SIZE, SILENT, QueriedMessage
from receipts.states import State

logger = logging.getLogger(__name__)
MOST_REASON = 500
# All recipients by id, each with every device that has reported a state of the message, and the rules that hide
# something from its sender. Indexes: member_once, lane_key, log_key, block_unique.
TRACE = f"""
WITH recipient AS MATERIALIZED (
    SELECT m.user_id, m.conversation_id, m.delivered_seq >= %(seq)s AS delivered, m.read_seq >= %(seq)s AS seen
    FROM chat_member m
    WHERE m.conversation_id = %(conversation)s AND m.left_seq IS NULL AND m.user_id <> %(sender)s
      AND m.joined_seq < %(seq)s AND m.user_id > %(after)s
    ORDER BY m.user_id LIMIT %(limit)s
)
SELECT r.user_id, r.delivered, r.seen, g.device_id, g.state, g.at, COALESCE({SILENT}, false) AS strict,
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
IN_OUTBOX = """
SELECT EXISTS (SELECT FROM chat_outbox o WHERE o.conversation_id = %(conversation)s AND o.event = 'messages.stored'
               AND %(seq)s BETWEEN o.from_seq AND o.to_seq)
"""


class TraceRow(NamedTuple):
    """A row of TRACE: a recipient, and one state that one of their devices reported; None where none did.

    `strict`: the device sends no read receipts. `quiet`: the recipient sends none. `blocked`: they block the sender.
    """

    user_id: UserId
    delivered: bool
    seen: bool
    device_id: DeviceId | None
    state: int | None
    at: datetime | None
    strict: bool
    quiet: bool
    blocked: bool


def trace_for_sender(viewer: Session, message_id: MessageId, *, after: int = 0) -> Trace:
    """Return the trace of the viewer's own message as far as they may know it. Raises NotFound, NotAMember, Forbidden."""
    visible = history.find(viewer.user_id, message_id)
    member_of(viewer.user_id, ConversationId(int(visible.chat_id)))
    if visible.sender.id != str(viewer.user_id):
        raise Forbidden("only its sender may ask for the way of a message")
    message = queries.find_message(message_id)
    if not message.named:
        raise Forbidden("this chat lists no names")
    receipts = queries.list_receipts(viewer, message_id, after=after)
    state = queries.read_delivery_state(viewer, message_id)
    times = {(r.recipient_id, r.device_id, r.state): r.timestamp for r in receipts.results}
    shown = privacy.get_device_settings(viewer.user_id, viewer.device_id).show_read_receipts
    rows = _read_rows(message, after)
    recipients = []
    for user, group in groupby(rows, key=attrgetter("user_id")):
        quiet = next(group).quiet
        hidden_by = [name for name, on in (("sendReadReceipts", quiet), ("showReadReceipts", not shown)) if on]
        devices = sorted({device for recipient, device, _ in times if recipient == str(user)})
        reached = _state_name(str(user) in state.delivered_to, str(user) in state.read_by)
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
    return _trace(message, recipients, _query_gateways(message, reported), next_cursor=receipts.next_cursor)


LOOK = "receipts.add_inspection"


def trace_for_staff(viewer: Session, message_id: MessageId, *, reason: str, after: int = 0) -> Trace:
    """Record an inspection, and return the whole trace (F124). Raises Forbidden, InvalidPayload, NotFound.

    A look adds an inspection, so it takes the permission `receipts.add_inspection`, which superusers have.
    """
    staff = User.objects.filter(pk=viewer.user_id, is_staff=True).first()
    if staff is None or not staff.has_perm(LOOK):
        raise Forbidden(f"only for staff with the permission {LOOK}")
    if not 1 <= len(reason.strip()) <= MOST_REASON:
        raise InvalidPayload(f"reason: why you look, 1 to {MOST_REASON} characters", field="reason")
    message = queries.find_message(message_id)
    Inspection.objects.create(staff_id=viewer.user_id, message_id=message_id, reason=reason.strip())
    logger.warning("staff %s looked at the trace of message %s", viewer.user_id, message_id)
    rows = _read_rows(message, after)
    groups = [(user, list(group)) for user, group in groupby(rows, key=attrgetter("user_id"))]
    result = _query_gateways(message, [user for user, _ in groups])
    recipients = [_recipient(message, user, group, result) for user, group in groups]
    page_end = queries.find_page_end(message, after)
    return _trace(message, recipients, result, next_cursor=write_cursor(page_end), hosts=True)


def _recipient(
    message: QueriedMessage, user: int, rows: Sequence[TraceRow], result: QueryResult | None
) -> RecipientTrace:
    first, *_ = rows
    strict = any(row.strict for row in rows)
    rules = {
        "blocked": first.blocked or message.hidden,
        "sendReadReceipts": first.quiet,
        "sendReadReceipts of a device": strict,
        "showReadReceipts": not privacy.get_settings(message.sender_id).show_read_receipts,
    }
    reached = State.SENT.wire if message.hidden else _state_name(first.delivered, first.seen)
    return RecipientTrace(
        user_id=str(user),
        state=reached,
        devices=_devices(rows),
        hidden_by=[name for name, on in rules.items() if on],
        connections=_connections(UserId(user), result),
    )


def _devices(rows: Iterable[TraceRow]) -> list[DeviceTrace]:
    times: dict[int, dict[int, datetime]] = {}
    for row in rows:
        if row.device_id is not None and row.state is not None and row.at is not None:
            times.setdefault(row.device_id, {})[row.state] = row.at
    return [
        DeviceTrace(
            device_id=str(device),
            delivered_at=wire_time(at.get(State.DELIVERED)),
            seen_at=wire_time(at.get(State.SEEN)),
        )
        for device, at in times.items()
    ]


def _state_name(delivered: bool, seen: bool) -> str:
    if seen:
        return State.SEEN.wire
    return (State.DELIVERED if delivered else State.SENT).wire


def _query_gateways(message: QueriedMessage, users: list[int]) -> QueryResult | None:
    """Ask all gateways which deliveries they made to these users. A message hidden by a block has none."""
    user_ids = [] if message.hidden else users
    return (
        delivery_query.ask_processes(message.conversation_id, message.seq, user_ids) if user_ids else QueryResult([], 0)
    )


def _connections(user_id: UserId, result: QueryResult | None) -> list[ConnectionTrace] | None:
    if result is None:
        return None
    return [
        _connection(report, delivery)
        for report in result.reports
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


def _gateways(result: QueryResult | None, *, hosts: bool) -> list[GatewayTrace] | None:
    if result is None:
        return None
    return [
        GatewayTrace(
            gateway=report.gateway,
            host=report.host if hosts else None,
            told_at=codec.unix_timestamp(report.told_at) or "",
            summed=report.summed,
        )
        for report in result.reports
        if any(delivery.handed_at is not None for delivery in report.deliveries)
    ]


def _read_rows(message: QueriedMessage, after: int) -> list[TraceRow]:
    values = {
        "conversation": message.conversation_id,
        "seq": message.seq,
        "sender": message.sender_id,
        "after": after,
        "limit": PAGE_SIZE,
    }
    with connection.cursor() as cursor:
        cursor.execute(TRACE, values)
        return [TraceRow(*row) for row in cursor.fetchall()]


def _trace(
    message: QueriedMessage,
    recipients: list[RecipientTrace],
    result: QueryResult | None,
    *,
    next_cursor: str | None,
    hosts: bool = False,
) -> Trace:
    with connection.cursor() as cursor:
        cursor.execute(IN_OUTBOX, {"conversation": message.conversation_id, "seq": message.seq})
        (waiting,) = cursor.fetchone()
    return Trace(
        message_id=str(message.id),
        chat_id=str(message.conversation_id),
        seq=message.seq,
        stored_at=wire_time(message.created_at) or "",
        published=not waiting,
        traceparent=message.traceparent,
        gateways=_gateways(result, hosts=hosts),
        silent_gateways=result.silent if result else 0,
        recipients=recipients,
        next_cursor=next_cursor,
        has_more=next_cursor is not None,
    )
