"""Delivered and seen marks: cumulative and monotonic; changes are published as receipts, as far as privacy permits.

Settings never change what is recorded, only what is published (F111, F113).
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from django.conf import settings
from django.db import connection

from accounts.privacy import stricter
from chat.ids import MessageId
from gateway import codec, publish
from gateway.async_database import array
from gateway.bus import Event
from gateway.frames import Class
from gateway.ids import UNKNOWN_DEVICE, ConversationId, DeviceId, UserId
from gateway.indicators import DELIVERED, SEEN, Indicator
from receipts.frames import DeliveredTo, DeliveryReceipt, ReadReceipt, SeenBy

logger = logging.getLogger(__name__)
Key = TypeVar("Key")

# Returns one row a mark, moved or not. The statement skips member rows that a send has locked, and the caller tries
# them again: it locks many rows, so waiting for one could deadlock with a batch of sends.
# Seen implies delivered; no mark goes beyond the last message. `own_above` counts own messages above the read mark, so
# it falls by those that the mark passes (counted only if there are any). Reading ends "marked as unread"; if nothing
# else moved, only the user's own devices get a receipt.
# `judged` is the seq up to which the others may see that the user has read: none if the user sends no read receipts; if
# one of the user's devices sends none, the seq that the other devices have read (K8).
# `blind`, `blind_devices`: users and devices with showReadReceipts off, not sent seen marks. `shunned`: users the
# reader blocks, sent neither, because their messages must stay "sent" (F205).
# The same statement logs what each device reports: `lane` holds the device's newest transition, the head of its chain,
# and the log gets a copy. The lock of the member's row covers its lanes.
# Indexes: member_once, message_key, the key of accounts_privacy, block_unique, lane_key, device_strict, the key of
# receipts_policy.
MARK = f"""
WITH input AS (
    SELECT i.user_id, i.conversation_id, i.device_id, i.delivered, i.seen, i.place
    FROM unnest(%(users)s::bigint[], %(conversations)s::bigint[], %(devices)s::bigint[], %(delivered)s::bigint[],
                %(seen)s::bigint[])
         WITH ORDINALITY AS i (user_id, conversation_id, device_id, delivered, seen, place)
), standing AS MATERIALIZED (
    SELECT m.id, i.place, i.user_id, i.conversation_id, m.delivered_seq, m.read_seq, m.joined_seq, m.n, c.last_seq,
           LEAST(i.delivered, c.last_seq) AS delivered, LEAST(i.seen, c.last_seq) AS seen,
           m.marked_unread AND i.seen > 0 AS unmarked,
           c.members_version, c.member_count, c.kind
    FROM input i
    JOIN chat_conversation c ON c.id = i.conversation_id
    JOIN chat_member m ON m.conversation_id = i.conversation_id AND m.user_id = i.user_id AND m.left_seq IS NULL
    FOR NO KEY UPDATE OF m SKIP LOCKED
), moved AS (
    UPDATE chat_member m
    SET delivered_seq = GREATEST(m.delivered_seq, s.delivered, s.seen), read_seq = GREATEST(m.read_seq, s.seen),
        own_above = CASE WHEN m.own_above = 0 OR s.seen <= m.read_seq THEN m.own_above ELSE m.own_above - (
            SELECT count(*) FROM chat_message own
            WHERE own.conversation_id = s.conversation_id AND own.seq > m.read_seq AND own.seq <= s.seen
              AND own.sender_id = s.user_id AND own.content_type <> 'system') END,
        read_at = CASE WHEN s.seen > m.read_seq THEN now() ELSE m.read_at END,
        marked_unread = m.marked_unread AND NOT s.unmarked,
        own_at = CASE WHEN s.unmarked THEN now() ELSE m.own_at END
    FROM standing s
    WHERE m.id = s.id AND (s.delivered > m.delivered_seq OR s.seen > m.read_seq OR s.unmarked)
    RETURNING m.id, m.delivered_seq, m.read_seq
), judged AS MATERIALIZED (
    SELECT s.place, CASE
        WHEN s.seen = 0 OR EXISTS (
            SELECT FROM accounts_privacy p WHERE p.user_id = s.user_id AND NOT p.send_read_receipts) THEN NULL
        WHEN s.user_id IN (
            SELECT d.user_id FROM accounts_device d
            WHERE {stricter("d", "send_read_receipts")}) THEN (
            SELECT NULLIF(GREATEST(known.seq, max(LEAST(l.seen, s.last_seq))), known.seq)
            FROM unnest(%(lane_places)s::bigint[], %(lane_devices)s::bigint[], %(lane_seen)s::bigint[])
                     AS l (place, device_id, seen)
            CROSS JOIN shown_read_seq(s.conversation_id, s.user_id) AS known (seq)
            WHERE l.place = s.place AND NOT EXISTS (
                SELECT FROM accounts_device d
                WHERE d.id = l.device_id AND {stricter("d", "send_read_receipts")})
            GROUP BY known.seq)
        WHEN n.read_seq > s.read_seq THEN n.read_seq END AS shown
    FROM standing s LEFT JOIN moved n ON n.id = s.id
), claimed AS (
    SELECT s.conversation_id, s.user_id, l.device_id, t.state, s.joined_seq + 1 AS from_seq,
           LEAST(t.seq, s.last_seq) AS to_seq, now() AS at,
           now() + make_interval(secs => COALESCE(p.kept_days * 86400, t.kept)) AS expires_at
    FROM unnest(%(lane_places)s::bigint[], %(lane_devices)s::bigint[], %(lane_delivered)s::bigint[],
                %(lane_seen)s::bigint[]) AS l (place, device_id, delivered, seen)
    JOIN standing s ON s.place = l.place
    LEFT JOIN receipts_policy p ON p.conversation_id = s.conversation_id
    CROSS JOIN LATERAL (VALUES
        (2::smallint, CASE WHEN l.delivered > l.seen THEN l.delivered ELSE 0 END, %(delivered_kept)s::bigint),
        (3::smallint, l.seen, %(seen_kept)s::bigint)) AS t (state, seq, kept)
    WHERE LEAST(t.seq, s.last_seq) > s.joined_seq AND (t.state = 3 OR NOT EXISTS (
        SELECT FROM receipts_lane seen
        WHERE seen.conversation_id = s.conversation_id AND seen.user_id = s.user_id AND seen.device_id = l.device_id
          AND seen.state = 3 AND seen.to_seq >= LEAST(t.seq, s.last_seq)))
), lane AS (
    INSERT INTO receipts_lane AS l (
        conversation_id, user_id, device_id, state, n, from_seq, to_seq, at, expires_at, expires_on,
        previous_hash, previous_expires_on, hash)
    SELECT c.conversation_id, c.user_id, c.device_id, c.state, 1, c.from_seq, c.to_seq, c.at, c.expires_at,
           (c.expires_at AT TIME ZONE 'UTC')::date, ''::bytea, NULL,
           receipts_hash('', NULL, c.conversation_id, c.user_id, c.device_id, c.state, 1, c.from_seq, c.to_seq, c.at,
                         c.expires_at)
    FROM claimed c
    ON CONFLICT (conversation_id, user_id, device_id, state) DO UPDATE
    SET n = l.n + 1, from_seq = GREATEST(l.to_seq + 1, excluded.from_seq), to_seq = excluded.to_seq, at = excluded.at,
        expires_at = excluded.expires_at, expires_on = excluded.expires_on,
        previous_hash = l.hash, previous_expires_on = l.expires_on,
        hash = receipts_hash(l.hash, l.expires_on, l.conversation_id, l.user_id, l.device_id, l.state, l.n + 1,
                             GREATEST(l.to_seq + 1, excluded.from_seq), excluded.to_seq, excluded.at,
                             excluded.expires_at)
    WHERE excluded.to_seq > l.to_seq
    RETURNING l.*
), logged AS (
    INSERT INTO receipts_log (
        conversation_id, user_id, device_id, state, n, from_seq, to_seq, at, expires_at, expires_on,
        previous_hash, previous_expires_on, hash)
    SELECT conversation_id, user_id, device_id, state, n, from_seq, to_seq, at, expires_at, expires_on,
           previous_hash, previous_expires_on, hash
    FROM lane
)
SELECT i.user_id, i.conversation_id,
       CASE WHEN s.id IS NOT NULL THEN 'done' WHEN EXISTS (
           SELECT FROM chat_member present WHERE present.conversation_id = i.conversation_id
              AND present.user_id = i.user_id AND present.left_seq IS NULL) THEN 'busy' ELSE 'stranger' END,
       s.members_version, s.member_count,
       CASE WHEN n.delivered_seq > s.delivered_seq THEN n.delivered_seq END,
       CASE WHEN n.read_seq > s.read_seq OR s.unmarked AND n.read_seq > 0 THEN n.read_seq END,
       CASE WHEN n.read_seq > s.read_seq OR s.unmarked THEN message_id_at(i.conversation_id, n.read_seq) END,
       j.shown,
       CASE WHEN j.shown <> n.read_seq OR n.id IS NULL THEN message_id_at(i.conversation_id, j.shown) END,
       CASE WHEN j.shown IS NOT NULL AND s.member_count < %(small)s THEN ARRAY(
           SELECT other.user_id FROM chat_member other
           JOIN accounts_privacy p ON p.user_id = other.user_id AND NOT p.show_read_receipts
           WHERE other.conversation_id = i.conversation_id AND other.left_seq IS NULL
             AND other.user_id <> i.user_id) END,
       CASE WHEN j.shown IS NOT NULL AND s.member_count < %(small)s THEN ARRAY(
           SELECT d.id FROM chat_member other
           JOIN accounts_device d ON d.user_id = other.user_id AND {stricter("d", "show_read_receipts")}
           WHERE other.conversation_id = i.conversation_id AND other.left_seq IS NULL
             AND other.user_id <> i.user_id) END,
       CASE WHEN s.kind = 'direct' AND (n.id IS NOT NULL OR j.shown IS NOT NULL) THEN ARRAY(
           SELECT other.user_id FROM chat_member other
           JOIN accounts_block b ON b.blocked_id = other.user_id AND b.blocker_id = i.user_id
           WHERE other.conversation_id = i.conversation_id AND other.left_seq IS NULL) END,
       s.n
FROM input i LEFT JOIN standing s ON s.place = i.place LEFT JOIN moved n ON n.id = s.id
LEFT JOIN judged j ON j.place = i.place
ORDER BY i.place
"""  # noqa: S608


class Mark(NamedTuple):
    """What a member's device reports: seqs up to which it received and its user read, 0 for no news."""

    user_id: UserId
    conversation_id: ConversationId
    delivered: int
    seen: int
    device_id: DeviceId = UNKNOWN_DEVICE


class Move(NamedTuple):
    """A row of MARK: what a mark changed. `delivered` and `seen` are the new marks, None if not moved.

    `shown` is the seq up to which the others may see that the user has read, None if unchanged; `shown_id` is that
    message's id if it differs from `seen_id`.
    """

    user_id: UserId
    conversation_id: ConversationId
    outcome: str
    members_version: int
    member_count: int
    delivered: int | None
    seen: int | None
    seen_id: MessageId | None
    shown: int | None
    shown_id: MessageId | None
    blind: list[int] | None
    blind_devices: list[int] | None
    shunned: list[int] | None
    n: int | None = None  # the member's number in the conversation


def record_marks(marks: Sequence[Mark]) -> list[str]:
    """Record marks and publish the receipts of those that moved. Called from a thread.

    Returns the outcome of each mark: "done", "busy" (a send has locked the member's row: try again), or "stranger".
    """
    with connection.cursor() as cursor:
        cursor.execute(MARK, statement_values(marks))
        return finish_marks(marks, [Move(*row) for row in cursor.fetchall()])


def statement_values(marks: Sequence[Mark]) -> dict[str, Any]:
    """Return the values of MARK: the merged marks of each member, whose row is updated once, and of each device."""
    members, lanes = _merge_by(marks, by=member_key), _merge_by(marks, by=lane_key)
    places = {member: place for place, member in enumerate(members, 1)}
    limits = settings.LIMITS
    return {
        "users": array([m.user_id for m in members.values()]),
        "conversations": array([m.conversation_id for m in members.values()]),
        "devices": array([m.device_id for m in members.values()]),
        "delivered": array([m.delivered for m in members.values()]),
        "seen": array([m.seen for m in members.values()]),
        "lane_places": array([places[member_key(m)] for m in lanes.values()]),
        "lane_devices": array([m.device_id for m in lanes.values()]),
        "lane_delivered": array([m.delivered for m in lanes.values()]),
        "lane_seen": array([m.seen for m in lanes.values()]),
        "delivered_kept": limits.delivered_kept,
        "seen_kept": limits.seen_kept,
        "small": limits.fanout_threshold,
    }


def finish_marks(marks: Sequence[Mark], moves: Sequence[Move]) -> list[str]:
    """Publish the receipts of the moves, one a member, and return the outcome of each mark."""
    publish_receipts(moves)
    outcomes = {(move.user_id, move.conversation_id): move.outcome for move in moves}
    return [outcomes[member_key(mark)] for mark in marks]


def member_key(mark: Mark) -> tuple[UserId, ConversationId]:
    """Return the user and conversation of a mark."""
    return mark.user_id, mark.conversation_id


def lane_key(mark: Mark) -> tuple[int, int, int]:
    """Return the user, conversation and device of a mark."""
    return mark.user_id, mark.conversation_id, mark.device_id


def merge_marks(one: Mark, other: Mark) -> Mark:
    """Merge two marks of one member: the highest seqs, and the device of the higher mark."""
    delivered, seen = max(one.delivered, other.delivered), max(one.seen, other.seen)
    device = other.device_id if (other.seen, other.delivered) > (one.seen, one.delivered) else one.device_id
    return Mark(one.user_id, one.conversation_id, delivered, seen, device)


def _merge_by(marks: Sequence[Mark], *, by: Callable[[Mark], Key]) -> dict[Key, Mark]:
    merged: dict[Key, Mark] = {}
    for mark in marks:
        key = by(mark)
        merged[key] = merge_marks(merged[key], mark) if key in merged else mark
    return merged


def publish_receipts(moves: Sequence[Move]) -> None:
    """Publish the receipts of the marks that moved. Large conversations get none: counts are read on demand."""
    small = [m for m in moves if m.outcome == "done" and m.member_count < settings.LIMITS.fanout_threshold]
    delivered: dict[tuple[int, ...], list[Move]] = {}
    for move in small:
        if move.delivered is not None:
            delivered.setdefault((move.conversation_id, *(move.shunned or ())), []).append(move)
    for group in delivered.values():
        _publish_delivered(group)
    for move in small:
        _publish_seen(move)


def _publish_delivered(moves: list[Move]) -> None:
    chat = moves[0].conversation_id
    receipts = [DeliveredTo(user_id=str(m.user_id), seq=m.delivered or 0) for m in moves]
    indicators = [_indicator(DELIVERED, m, m.delivered, receipt) for m, receipt in zip(moves, receipts, strict=True)]
    event = _event(chat, "delivery.receipt", DeliveryReceipt(chat_id=str(chat), receipts=receipts), indicators)
    event.conversation_id, event.version = chat, moves[0].members_version
    event.skip_users = moves[0].shunned or []
    publish.to_conversation(event)


def _publish_seen(move: Move) -> None:
    """Publish the user's own read mark to their devices, and the shown one to the others: mostly one event."""
    if move.seen is not None and move.seen != move.shown:
        event = _seen_event(move, move.seen, move.seen_id)
        event.users = [move.user_id]
        publish.to_conversation(event)
    if move.shown is not None:
        event = _seen_event(move, move.shown, move.seen_id if move.shown == move.seen else move.shown_id)
        event.conversation_id, event.version = move.conversation_id, move.members_version
        event.skip_users = [*(move.blind or ()), *(move.shunned or ())]
        if move.shown != move.seen:
            event.skip_users.append(move.user_id)
        event.skip_devices = move.blind_devices or []
        publish.to_conversation(event)


def _seen_event(move: Move, seq: int, message_id: MessageId | None) -> Event:
    chat = str(move.conversation_id)
    seen = SeenBy(user_id=str(move.user_id), message_id=str(message_id), seq=seq)
    indicators = [_indicator(SEEN, move, seq, seen)]
    return _event(move.conversation_id, "read.receipt", ReadReceipt(chat_id=chat, receipts=[seen]), indicators)


def _indicator(state: int, move: Move, seq: int | None, receipt: DeliveredTo | SeenBy) -> Indicator:
    return Indicator(state, move.user_id, move.n or 0, seq or 0, codec.encode(receipt))


def _event(chat: int, type_: str, receipts: DeliveryReceipt | ReadReceipt, indicators: list[Indicator]) -> Event:
    """Return an event of receipts, which each connection coalesces with others of its chat (F117)."""
    return Event(
        chat=chat, cls=Class.RECEIPT, frame=codec.frame(type_, receipts), coalesced_type=type_, indicators=indicators
    )
