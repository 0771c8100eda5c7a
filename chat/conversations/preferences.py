"""A member's own preferences in a conversation: mute, pin, archive, marked as unread, and the draft.

It makes no rev, nobody else learns of it, and their other devices do (`chat.updated` without a rev; those that were
away by the conversation object in their next sync, for a week). An archived
conversation stays archived when something is said in it, as people know it from WhatsApp: it goes on to count what is
unread, and nothing is written for each member when a message comes.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from chat import events
from chat.conversations import queries
from chat.frames import ConversationObject
from chat.models import ConversationDraft, Member
from chat.refusals import NotAMember
from gateway.errors import ContentTooLong, InvalidPayload
from gateway.frames import ALL_DEVICES, Viewer
from gateway.ids import ConversationId, UserId

EARLIEST_YEAR = 1970
# The later of two devices wins. Index: draft_once.
KEEP = """
INSERT INTO chat_conversationdraft (user_id, conversation_id, text, updated_at)
VALUES (%(user)s, %(conversation)s, %(text)s, now())
ON CONFLICT (user_id, conversation_id) DO UPDATE SET text = EXCLUDED.text, updated_at = now()
"""


def change(user_id: UserId, conversation_id: ConversationId, wanted: Mapping[str, Any]) -> ConversationObject:
    """Set any of `muted_until` (a time or None), `pinned`, `archived`, `marked_unread` and `draft` ("" deletes it), and
    return the conversation as the user then sees it.

    Raises NotAMember, InvalidPayload, ContentTooLong.
    """
    text = _checked(wanted["draft"]) if "draft" in wanted else None
    with transaction.atomic():
        own = Member.objects.filter(conversation_id=conversation_id, user_id=user_id, left_seq=None)
        row = own.select_for_update(no_key=True).first()
        if row is None:
            raise NotAMember
        own.update(own_at=timezone.now(), **_columns(row, wanted))
        if text is not None:
            keep_draft(user_id, conversation_id, text)
        seen = queries.conversation(Viewer(user_id, ALL_DEVICES), conversation_id)
        transaction.on_commit(partial(events.publish_chat, "chat.updated", user_id, seen))
    return seen


def _columns(row: Member, wanted: Mapping[str, Any]) -> dict[str, Any]:
    now = timezone.now()
    columns: dict[str, Any] = {}
    if "muted_until" in wanted:
        columns["muted_until"] = _moment(wanted["muted_until"])
    if "pinned" in wanted:
        columns["pinned_at"] = (row.pinned_at or now) if wanted["pinned"] else None
    if "archived" in wanted:
        columns["archived_at"] = (row.archived_at or now) if wanted["archived"] else None
    if "marked_unread" in wanted:
        columns["marked_unread"] = wanted["marked_unread"]
    return columns


def _moment(until: datetime | None) -> datetime | None:
    """Return a time in UTC, to the millisecond as the wire has it. Raises InvalidPayload."""
    if until is None:
        return None
    try:
        moment = until.astimezone(UTC) if until.tzinfo is not None else None
    except OverflowError:
        moment = None  # before the year 1 or after 9999, once it is in UTC
    if moment is None or moment.year < EARLIEST_YEAR:
        raise InvalidPayload("a time with its zone, as 2026-01-31T12:00:00Z", field="mutedUntil")
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def keep_draft(user_id: UserId, conversation_id: ConversationId, text: str) -> None:
    """Store a user's draft; "" deletes it."""
    if not text:
        ConversationDraft.objects.filter(user_id=user_id, conversation_id=conversation_id).delete()
        return
    with connection.cursor() as cursor:
        cursor.execute(KEEP, {"user": user_id, "conversation": conversation_id, "text": text})


def _checked(text: str) -> str:
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise InvalidPayload("this is no text", field="draft")
    if len(text) > settings.LIMITS.max_content_chars:
        raise ContentTooLong(f"at most {settings.LIMITS.max_content_chars} characters", field="draft")
    return text
