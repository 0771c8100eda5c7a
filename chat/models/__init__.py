"""The tables of chat, by noun."""

from chat.models.conversations import Conversation, ConversationDraft, Epoch, Flag, Member
from chat.models.files import Attachment
from chat.models.messages import Hiding, Mention, Message, MessageVersion, Reaction, ThreadRead, Vote
from chat.models.teams import Team, TeamMember

__all__ = [
    "Attachment",
    "Conversation",
    "ConversationDraft",
    "Epoch",
    "Flag",
    "Hiding",
    "Member",
    "Mention",
    "Message",
    "MessageVersion",
    "Reaction",
    "Team",
    "TeamMember",
    "ThreadRead",
    "Vote",
]
