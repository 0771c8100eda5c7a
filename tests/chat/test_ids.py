"""Types of the ids of chat's tables."""

from accounts.ids import from_wire
from chat.ids import AttachmentId, MessageId, TeamId
from gateway.ids import ConversationId


def test_ids_of_chat_are_distinct_types_for_mypy() -> None:
    """mypy reports an unused `type: ignore` if it accepts one type in place of another."""
    message_id, team_id = from_wire("7", MessageId), from_wire("8", TeamId)

    conversation_id: ConversationId = message_id  # type: ignore[assignment]
    attachment_id: AttachmentId = team_id  # type: ignore[assignment]

    assert (conversation_id, attachment_id) == (7, 8)
