"""Looks into the tables, past every rule: what tests compare answers with."""

from collections.abc import Mapping
from typing import Any

from chat.models import Conversation, Member, Message
from gateway.ids import ConversationId
from outbox.models import Outbox
from tests.factories import Someone


def seqs_and_revs(conversation_id: ConversationId) -> list[tuple[int, int]]:
    """Return what is stored of a conversation, in the order of its key."""
    return list(Message.objects.filter(conversation_id=conversation_id).order_by("seq").values_list("seq", "rev"))


def counters(conversation_id: ConversationId) -> tuple[int, int]:
    """Return a conversation's last seq and rev."""
    row = Conversation.objects.get(id=conversation_id)
    return row.last_seq, row.rev


def outbox_of(conversation_id: ConversationId) -> list[tuple[str, int, int]]:
    """Return what must still be followed up of a conversation."""
    rows = Outbox.objects.filter(conversation_id=conversation_id).order_by("id")
    return list(rows.values_list("event", "from_seq", "to_seq"))


def member(person: Someone, conversation_id: ConversationId) -> Member:
    """Return a person's latest interval of membership."""
    found = Member.objects.filter(conversation_id=conversation_id, user_id=person.id).order_by("id").last()
    assert found is not None
    return found


def change(conversation_id: ConversationId, values: Mapping[str, Any]) -> None:
    """Set columns of a conversation that no route sets yet."""
    assert Conversation.objects.filter(id=conversation_id).update(**values) == 1


def announced(conversation_id: ConversationId) -> list[tuple[dict[str, Any], str]]:
    """Return a conversation's system messages: what programs and what people read."""
    found = Message.objects.filter(conversation_id=conversation_id, content_type="system").order_by("seq")
    return [(message.data or {}, message.content) for message in found]
