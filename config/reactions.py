"""The table of reactions to recorded events, each with jobs of its own. Every reaction may run twice."""

from outbox.reactions import Reaction

REACTIONS: tuple[Reaction, ...] = (
    Reaction(
        "republish",
        "chat.republish.republish",
        ("messages.stored", "messages.changed", "messages.deleted", "members.changed", "conversation.changed"),
        late_only=True,
    ),
)
