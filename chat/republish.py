"""Chat's own reaction: publishes again what a gateway may not have published because it died after its commit.

Hubs and clients drop what they have. Everything is read anew, so that a change which a later one has overtaken is left to
that one's event.
"""

from collections.abc import Sequence

from accounts import blocks
from chat import events
from chat.ids import MessageId
from chat.messages import feed
from chat.models import Member
from gateway import publish
from gateway.ids import ConversationId, UserId
from outbox.events import (
    ConversationChanged,
    MembersChanged,
    MessagesChanged,
    MessagesDeleted,
    MessagesStored,
    OutboxEvent,
)


def republish(recorded: Sequence[OutboxEvent]) -> None:
    """Publish the frames of these events again, to the users who may see them now."""
    for event in recorded:
        match event:
            case MessagesStored():
                for stored in feed.by_seq(ConversationId(event.conversation_id), event.from_seq, event.to_seq):
                    publish.to_conversation(stored)
            case MessagesDeleted(only_for=int(user_id)):
                events.publish_hidden(
                    UserId(user_id), ConversationId(event.conversation_id), MessageId(event.message_id), event.seq
                )
            case MessagesChanged(rev=int(rev)) | MessagesDeleted(rev=int(rev)) | ConversationChanged(rev=int(rev)):
                _republish_rev(ConversationId(event.conversation_id), rev)
            case MembersChanged():
                if event.rev is not None:
                    _republish_rev(ConversationId(event.conversation_id), event.rev)
                _republish_membership(event)


def _republish_rev(conversation_id: ConversationId, rev: int) -> None:
    for event in feed.between(conversation_id, rev - 1, rev + 1):
        publish.to_conversation(event)


def _republish_membership(event: MembersChanged) -> None:
    """Send `chat.created` to users who joined and `chat.removed` to users who left, if that is still so."""
    if event.change == "role":
        return
    members = Member.objects.filter(conversation_id=event.conversation_id, user_id__in=event.user_ids, left_seq=None)
    present = {UserId(user_id) for user_id in members.values_list("user_id", flat=True)}
    if event.change == "joined":
        joined = present - blocks.blockers_among(UserId(event.actor_id), present)
        events.publish_created(ConversationId(event.conversation_id), sorted(joined))
    else:
        events.publish_removed(ConversationId(event.conversation_id), sorted(set(event.user_ids) - present))
