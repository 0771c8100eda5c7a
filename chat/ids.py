"""Types of the ids of chat's tables, besides `gateway.ids.ConversationId`. Each is an int at run time."""

from typing import NewType

MessageId = NewType("MessageId", int)
AttachmentId = NewType("AttachmentId", int)
TeamId = NewType("TeamId", int)
