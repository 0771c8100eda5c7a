"""Messages are deleted: for everyone, which leaves a tombstone, or for oneself, which leaves no trace (F27 to F30)."""

from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone

from chat import events
from chat.ids import MessageId
from chat.messages import changes, edits, history
from chat.messages.changes import LockedMessage
from chat.models import Attachment, Hiding, Mention, Message, MessageVersion, Reaction, Vote
from chat.refusals import DeleteWindowClosed
from gateway.errors import Forbidden
from gateway.ids import ConversationId, UserId
from holds import holds
from outbox.events import MessagesDeleted, MessagesPurged
from outbox.outbox import record

# K32: a deleted text is kept for so long, visible to nobody, and then purged.
KEPT = timedelta(hours=24)
# Index: hiding_once. A message that is hidden already is not visible to its viewer any more.
HIDDEN_ALREADY = """
SELECT EXISTS (SELECT FROM chat_message m JOIN chat_hiding x
               ON x.conversation_id = m.conversation_id AND x.user_id = %(user)s AND x.seq = m.seq
               WHERE m.id = %(id)s)
"""


def delete(user_id: UserId, message_id: MessageId) -> int:
    """Delete a message for everyone and return the rev; one that is deleted already stays as it is.

    By its author within the window, by an admin of the conversation at any time. What hangs on it goes with it, its
    words and versions within a day; under a hold none of it goes. Raises NotFound, NotAMember, Forbidden, DeleteWindowClosed.
    """
    changes.charge(user_id)
    with transaction.atomic():
        message = changes.lock_message(user_id, message_id)
        if message.deleted:
            return message.rev
        _check_may_delete(message)
        return _delete_for_everyone(message)


def _check_may_delete(message: LockedMessage) -> None:
    if message.content_type == "system":
        raise Forbidden("what happened is not deleted")
    if message.is_admin:
        return
    if not message.own:
        raise Forbidden("only its author and the admins delete a message for everyone")
    if message.past(settings.LIMITS.delete_window):
        raise DeleteWindowClosed


def _delete_for_everyone(message: LockedMessage) -> int:
    edits.keep_version(message)
    now, its = timezone.now(), {"conversation_id": message.conversation_id, "message_id": message.id}
    MessageVersion.objects.filter(**its).update(purge_at=now + KEPT)
    Mention.objects.filter(conversation_id=message.conversation_id, seq=message.seq).delete()
    reacted, poll = bool(message.reactions), message.content_type == "poll"
    if (reacted or poll) and not holds.covers(conversation_id=message.conversation_id, user_id=message.sender_id):
        Reaction.objects.filter(**its).delete()
        Vote.objects.filter(**its).delete()
    if message.attachments:
        Attachment.objects.filter(id__in=message.attachments).update(
            status=Attachment.Status.EXPIRED, message_id=None, updated_at=now
        )
    return changes.write_tombstone(message)


def hide(user_id: UserId, message_id: MessageId) -> None:
    """Delete a message for oneself, on all of one's devices and at any time. Raises NotFound."""
    changes.charge(user_id)
    with connection.cursor() as cursor:
        cursor.execute(HIDDEN_ALREADY, {"user": user_id, "id": message_id})
        if cursor.fetchone()[0]:
            return
    message = history.find(user_id, message_id)
    with transaction.atomic():
        _, made = Hiding.objects.get_or_create(
            conversation_id=int(message.chat_id), user_id=user_id, seq=message.seq, defaults={"message_id": message_id}
        )
        if made:
            record(
                MessagesDeleted(
                    conversation_id=int(message.chat_id),
                    seq=message.seq,
                    message_id=message_id,
                    by=user_id,
                    only_for=user_id,
                )
            )
            transaction.on_commit(
                partial(events.publish_hidden, user_id, ConversationId(int(message.chat_id)), message_id, message.seq)
            )


def purge() -> int:
    """Purge texts that were deleted a day ago and are under no hold; return the number of versions.

    A hold covers a message by its conversation or its sender. The reactions and votes that a hold has kept until now go
    with the versions. Index: message_version_purge.
    """
    message = Message.objects.filter(conversation_id=OuterRef("conversation_id"), id=OuterRef("message_id"))
    with transaction.atomic():
        holds.wait_for_new_holds()
        due = (
            MessageVersion.objects.filter(purge_at__lte=timezone.now())
            .annotate(sender_id=Subquery(message.values("sender_id")), seq=Subquery(message.values("seq")))
            .exclude(holds.covering(conversation="conversation_id", user="sender_id"))
        )
        versions = list(due.only("id", "conversation_id", "message_id"))
        places = {(version.conversation_id, version.message_id) for version in versions}
        its = Q(conversation_id__in={chat for chat, _ in places}, message_id__in={message for _, message in places})
        Reaction.objects.filter(its).delete()
        Vote.objects.filter(its).delete()
        seqs: dict[int, set[int]] = {}
        for version in versions:
            seqs.setdefault(version.conversation_id, set()).add(version.seq)
        for conversation_id, purged in seqs.items():
            record(MessagesPurged(conversation_id=conversation_id, seqs=sorted(purged)))
        return MessageVersion.objects.filter(id__in=[version.id for version in versions]).delete()[0]
