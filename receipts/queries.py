"""The receipts of a message as far as the viewer may know them: settings and blocks are read each time (K8)."""

from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import cache
from django.db import connection

from accounts import privacy
from accounts.privacy import stricter
from chat.access import member_of
from chat.frames import wire_time
from chat.ids import MessageId
from chat.messages import history
from chat.read_state import READ_AS_SHOWN
from gateway.errors import NotFound
from gateway.frames import Session
from gateway.ids import ConversationId, DeviceId, UserId
from gateway.paging import listing, write_cursor
from receipts.bodies import Counts, DeliveryState, Receipt, Receipts
from receipts.states import State

PAGE_SIZE = 100
# A device that sends no read receipts, although its user may.
SILENT = stricter("d", "send_read_receipts")
# Index: message_id.
MESSAGE = """
SELECT m.id, m.conversation_id, m.seq, m.sender_id, m.hidden, m.created_at, m.traceparent, c.kind, c.member_count,
       p.lists_names
FROM chat_message m JOIN chat_conversation c ON c.id = m.conversation_id
LEFT JOIN receipts_policy p ON p.conversation_id = c.id
WHERE m.id = %(id)s
"""
# A message hidden by a block counts as delivered to nobody; a blocked user sees the marks frozen at the time of the
# block. Index: member_once.
_RECIPIENTS = f"""
    SELECT m.user_id, m.conversation_id,
           LEAST(m.delivered_seq, m.frozen_delivered_seq) >= %(seq)s AND NOT %(hidden)s AS delivered,
           {READ_AS_SHOWN} >= %(seq)s AND NOT %(hidden)s AS seen
    FROM chat_member m LEFT JOIN accounts_privacy p ON p.user_id = m.user_id
    WHERE m.conversation_id = %(conversation)s AND m.left_seq IS NULL AND m.user_id <> %(sender)s
      AND m.joined_seq < %(seq)s
"""  # noqa: S608
RECIPIENT_COUNTS = f"""
SELECT count(*), count(*) FILTER (WHERE delivered OR seen), count(*) FILTER (WHERE seen) FROM ({_RECIPIENTS}) r
"""  # noqa: S608
RECIPIENT_STATES = f"SELECT user_id, delivered OR seen, seen FROM ({_RECIPIENTS}) r ORDER BY user_id"  # noqa: S608
# For each recipient, device and state the log row that covers the message, unless its time to be shown or its retention
# is over (its partition may still exist). A hidden seen row is shown as delivered. In a direct chat, rows after a block
# are not shown to the blocked side.
# Indexes: lane_key, log_key (a lane's ranges ascend: the first that ends at the message or above).
DEVICE_RECEIPTS = f"""
WITH recipient AS MATERIALIZED (
    SELECT r.* FROM ({_RECIPIENTS}) r WHERE NOT %(hidden)s AND r.user_id > %(after)s ORDER BY r.user_id LIMIT %(limit)s
), reported AS (
    SELECT r.user_id, l.device_id, g.state, g.at, g.expires_at,
           %(shows)s AND COALESCE(p.send_read_receipts, true) AND NOT COALESCE({SILENT}, false) AS shows_seen
    FROM recipient r
    JOIN receipts_lane l ON l.conversation_id = r.conversation_id AND l.user_id = r.user_id
    CROSS JOIN LATERAL (
        SELECT x.state, x.at, x.from_seq, x.expires_at FROM receipts_log x
        WHERE x.conversation_id = l.conversation_id AND x.user_id = l.user_id AND x.device_id = l.device_id
          AND x.state = l.state AND x.to_seq >= %(seq)s
        ORDER BY x.to_seq LIMIT 1) g
    LEFT JOIN accounts_privacy p ON p.user_id = r.user_id
    LEFT JOIN accounts_device d ON d.id = l.device_id
    WHERE g.from_seq <= %(seq)s AND NOT (%(direct)s AND EXISTS (
        SELECT FROM accounts_block b
        WHERE b.blocker_id = r.user_id AND b.blocked_id IN (%(sender)s, %(viewer)s) AND b.created_at <= g.at))
), shown AS (
    SELECT user_id, device_id, CASE WHEN shows_seen THEN state ELSE 2 END AS state, min(at) AS at,
           (array_agg(expires_at ORDER BY at))[1] AS expires_at
    FROM reported GROUP BY 1, 2, 3
), lasting AS (
    SELECT user_id, device_id, state, at, extract(epoch FROM LEAST(
               expires_at,
               at + make_interval(secs => CASE state WHEN 3 THEN %(seen_shown)s ELSE %(delivered_shown)s END))
           - now()) AS ttl
    FROM shown
)
SELECT user_id, device_id, state, at, ttl::int FROM lasting WHERE ttl > 0
ORDER BY user_id, device_id, state
"""  # noqa: S608
PAGE_END = f"""
SELECT user_id FROM ({_RECIPIENTS}) r WHERE user_id > %(after)s ORDER BY user_id LIMIT 2 OFFSET %(limit)s - 1
"""  # noqa: S608


class QueriedMessage(NamedTuple):
    """A message whose receipts are read, with the receipt settings of its conversation."""

    id: int
    conversation_id: ConversationId
    seq: int
    sender_id: UserId
    hidden: bool
    created_at: datetime
    traceparent: str | None
    kind: str
    member_count: int
    lists_names: bool | None

    @property
    def named(self) -> bool:
        """Say whether its receipts list names (K5)."""
        if self.kind == "direct" or self.lists_names is not None:
            return self.kind == "direct" or bool(self.lists_names)
        return self.member_count <= settings.LIMITS.receipt_names


class DeviceReceipt(NamedTuple):
    """A row of DEVICE_RECEIPTS: the state that a recipient's device reported, and the seconds for which it is shown."""

    user_id: UserId
    device_id: DeviceId
    state: int
    at: datetime
    ttl: int


class RecipientState(NamedTuple):
    """A row of RECIPIENT_STATES: what a recipient has reached."""

    user_id: UserId
    delivered: bool
    seen: bool


def list_receipts(viewer: Session, message_id: MessageId, *, after: int = 0) -> Receipts:
    """Return the counts of a message's receipts, and if names are listed a page of rows by recipient and device.

    `after` is the last user id of the page before. Raises NotFound and NotAMember as for the message itself.
    """
    message = _visible_message(viewer, message_id)
    shows = _shows_receipts(viewer)
    named = message.named
    rows = _device_receipts(message, viewer.user_id, shows=shows, after=after) if named else []
    page_end = find_page_end(message, after) if named else None
    return listing(
        Receipts,
        [_receipt(message, row) for row in rows],
        write_cursor(page_end),
        message_id=str(message.id),
        counts=_counts(message, shows=shows),
        named=named,
    )


def read_delivery_state(viewer: Session, message_id: MessageId) -> DeliveryState:
    """Return the state that all recipients of a message have reached, and their ids if names are listed (F127, F128)."""
    message = _visible_message(viewer, message_id)
    shows, named = _shows_receipts(viewer), message.named
    counts = _counts(message, shows=shows)
    state = State.SENT
    if counts.recipients:
        state = State.DELIVERED if counts.delivered == counts.recipients else state
        state = State.SEEN if counts.seen == counts.recipients else state
    recipients = _recipient_states(message) if named else []
    rows = _device_receipts(message, viewer.user_id, shows=shows, after=0) if named and state > State.SENT else []
    latest = max((row.at for row in rows if row.state == state), default=message.created_at)
    return DeliveryState(
        message_id=str(message.id),
        state=state.wire,
        delivered_to=[str(r.user_id) for r in recipients if r.delivered],
        read_by=[str(r.user_id) for r in recipients if r.seen and shows],
        counts=counts,
        timestamp=wire_time(latest) or "",
    )


def find_message(message_id: MessageId) -> QueriedMessage:
    """Return a message by id, without a check of the viewer. Raises NotFound."""
    for row in _fetch_rows(MESSAGE, {"id": message_id}):
        return QueriedMessage(*row)
    raise NotFound


def _visible_message(viewer: Session, message_id: MessageId) -> QueriedMessage:
    message = history.find(viewer.user_id, message_id)
    member_of(viewer.user_id, ConversationId(int(message.chat_id)))
    return find_message(message_id)


def _shows_receipts(viewer: Session) -> bool:
    return privacy.get_device_settings(viewer.user_id, viewer.device_id).show_read_receipts


def _counts(message: QueriedMessage, *, shows: bool) -> Counts:
    """Return the counts; in large conversations they are cached for 30 s (limit `receipt_counts`, F121)."""
    limits, key = settings.LIMITS, f"receipts:{message.id}"
    if message.member_count < limits.fanout_threshold:
        counts = _count_recipients(message)
    else:
        counts = _cached_counts(key) or _count_recipients(message)
        _cache_counts(key, counts, limits.receipt_counts)
    return counts if shows else Counts(recipients=counts.recipients, delivered=counts.delivered, seen=0)


def _count_recipients(message: QueriedMessage) -> Counts:
    ((recipients, delivered, seen),) = _fetch_rows(RECIPIENT_COUNTS, _values(message))
    return Counts(recipients=recipients, delivered=delivered, seen=seen)


def _cached_counts(key: str) -> Counts | None:
    counts: tuple[int, int, int] | None = cache.get(key)
    if counts is None:
        return None
    recipients, delivered, seen = counts
    return Counts(recipients=recipients, delivered=delivered, seen=seen)


def _cache_counts(key: str, counts: Counts, seconds: float) -> None:
    cache.add(key, (counts.recipients, counts.delivered, counts.seen), timeout=seconds)


def _values(message: QueriedMessage) -> dict[str, Any]:
    return {
        "conversation": message.conversation_id,
        "seq": message.seq,
        "sender": message.sender_id,
        "hidden": message.hidden,
    }


def _device_receipts(message: QueriedMessage, viewer: UserId, *, shows: bool, after: int) -> list[DeviceReceipt]:
    limits = settings.LIMITS
    values = _values(message) | {
        "viewer": viewer,
        "direct": message.kind == "direct",
        "shows": shows,
        "after": after,
        "limit": PAGE_SIZE,
        "seen_shown": limits.seen_shown,
        "delivered_shown": limits.delivered_shown,
    }
    return [DeviceReceipt(*row) for row in _fetch_rows(DEVICE_RECEIPTS, values)]


def _recipient_states(message: QueriedMessage) -> list[RecipientState]:
    return [RecipientState(*row) for row in _fetch_rows(RECIPIENT_STATES, _values(message))]


def find_page_end(message: QueriedMessage, after: int) -> int | None:
    """Return the last user id of a page of recipients, None if it is the last page."""
    rows = _fetch_rows(PAGE_END, _values(message) | {"after": after, "limit": PAGE_SIZE})
    ids = [int(user_id) for (user_id,) in rows]
    return ids[0] if len(ids) == 2 else None


def _receipt(message: QueriedMessage, row: DeviceReceipt) -> Receipt:
    return Receipt(
        message_id=str(message.id),
        recipient_id=str(row.user_id),
        device_id=str(row.device_id),
        state=State(row.state).wire,
        timestamp=wire_time(row.at) or "",
        ttl=row.ttl,
    )


def _fetch_rows(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
