"""Edits of messages: by the author, within a window; earlier versions stay readable (F25, F26)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from msgspec.structs import replace

from chat.ids import MessageId
from chat.messages import changes, history, validation
from chat.messages.changes import LockedMessage
from chat.messages.content_types import WORDED
from chat.messages.ingest import calls_everyone
from chat.models import Conversation, Member, MessageVersion
from chat.refusals import EditWindowClosed, ReadOnly
from gateway.errors import Conflict, Forbidden, NotFound
from gateway.ids import UserId

# Index: mention_once, which is scanned by its first column; mentions are few.
UNMENTION = "DELETE FROM chat_mention WHERE conversation_id = %(conversation)s AND seq = %(seq)s"
# Like chat_ingest: present members except the author; the mention count leaves out members who block the author. Index: member_once.
MENTION = """
INSERT INTO chat_mention (conversation_id, user_id, seq, sender_id)
SELECT present.conversation_id, present.user_id, %(seq)s, %(sender)s
FROM chat_member present
WHERE present.conversation_id = %(conversation)s AND present.user_id = ANY (%(people)s) AND present.left_seq IS NULL
  AND present.user_id <> %(sender)s AND NOT %(hidden)s
"""


class Edited(NamedTuple):
    """A message after an edit."""

    version: int
    rev: int
    edited_at: datetime | None


class Version(NamedTuple):
    """A message's text from `written_at` on."""

    version: int
    content: str
    written_at: datetime


class Versions(NamedTuple):
    """A page of versions, the latest first; `next` is the version below which the next page begins."""

    versions: list[Version]
    next: int | None


def edit(
    user_id: UserId,
    message_id: MessageId,
    content: str,
    *,
    version: int | None = None,
    mentions: Sequence[int] | None = None,
) -> Edited:
    """Replace a message's text; without `mentions` its mentions stay. An unchanged text makes no rev.

    Raises NotFound, NotAMember, Forbidden, ReadOnly, EditWindowClosed, Conflict for a `version` that is not the latest,
    InvalidPayload, ContentTooLong.
    """
    changes.charge(user_id)
    with transaction.atomic():
        message = changes.lock_live_message(user_id, message_id)
        _check_may_edit(message)
        validation.check_text(content, needed=not message.attachments)
        if version is not None and version != message.version:
            raise Conflict(field="version")
        people = list(dict.fromkeys(mentions)) if mentions is not None else message.mentions or []
        validation.check_mentions(people)
        if (content == message.content and people == (message.mentions or [])) or message.blocked_in_direct_chat:
            return Edited(message.version, message.rev, message.edited_at)
        everyone = calls_everyone(message.content_type, content)
        if everyone and not message.is_admin and message.membership.member_count > validation.EVERYONE_MEMBERS:
            raise Forbidden("only admins mention everybody here", field="content")
        return _write(message, content, people, everyone)


def _check_may_edit(message: LockedMessage) -> None:
    if message.content_type not in WORDED:
        raise Forbidden("a message of this kind is not edited")
    if not message.own:
        raise Forbidden("only its author edits a message")
    if message.membership.kind == Conversation.Kind.BROADCAST and message.membership.role == Member.Role.MEMBER:
        raise ReadOnly
    if message.past(settings.LIMITS.edit_window):
        raise EditWindowClosed


def _write(message: LockedMessage, content: str, people: list[int], everyone: bool) -> Edited:
    now = timezone.now()
    keep_version(message)
    if people != (message.mentions or []):
        _replace_mentions(message, people)
    event = replace(
        message.changed("edited"),
        mentions_added=[person for person in people if person not in (message.mentions or [])],
        everyone_added=everyone and not message.everyone,
    )
    rev = changes.write(
        message,
        event,
        content=content,
        version=message.version + 1,
        status="edited",
        edited_at=now,
        mentions=people or None,
        everyone=everyone,
    )
    return Edited(message.version + 1, rev, now)


def keep_version(message: LockedMessage) -> None:
    """Store a message's current text as a version, before it changes."""
    MessageVersion.objects.create(
        conversation_id=message.conversation_id,
        message_id=message.id,
        version=message.version,
        content=message.content,
        data=message.data,
        written_at=message.edited_at or message.created_at,
    )


def _replace_mentions(message: LockedMessage, people: list[int]) -> None:
    values: dict[str, Any] = {
        "conversation": message.conversation_id,
        "seq": message.seq,
        "sender": message.sender_id,
        "people": people,
        "hidden": message.hidden,
    }
    with connection.cursor() as cursor:
        cursor.execute(UNMENTION, values)
        cursor.execute(MENTION, values)


def versions(viewer: UserId, message_id: MessageId, *, below: int | None = None, limit: int) -> Versions:
    """Return the versions of a message's text, the latest first. Raises NotFound, for a deleted one too."""
    message = history.find(viewer, message_id)
    if message.status == "deleted":
        raise NotFound("this message has been deleted")
    earlier = MessageVersion.objects.filter(conversation_id=int(message.chat_id), message_id=message_id)
    edge = below if below is not None else message.version + 1
    rows = earlier.filter(version__lt=min(edge, message.version)).order_by("-version")[: limit + 1]
    shown = [Version(row.version, row.content, row.written_at) for row in rows]
    if edge > message.version:
        shown.insert(0, Version(message.version, message.content, _written(message.edited_at or message.created_at)))
    kept = shown[:limit]
    return Versions(kept, kept[-1].version if len(shown) > limit else None)


def _written(at: str) -> datetime:
    return datetime.fromisoformat(at)
