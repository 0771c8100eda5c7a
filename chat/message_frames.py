"""The frames that change a stored message (protocol 2.1)."""

from typing import Annotated, Literal

from msgspec import Meta

from chat.frames import WireId
from gateway.frames import Frame


class Edit(Frame, frozen=True):
    """`message.edit`: by its author, within the window; a stale `version` is a VERSION_CONFLICT."""

    message_id: WireId
    content: str
    version: int | None = None
    mentions: list[WireId] | None = None


class Delete(Frame, frozen=True):
    """`message.delete`: for everyone (by its author within the window, or an admin), or for oneself."""

    message_id: WireId
    scope: Literal["everyone", "self"] = "everyone"


class React(Frame, frozen=True):
    """`message.react`: adds one's emoji or takes it away; idempotent."""

    message_id: WireId
    emoji: str
    action: Literal["add", "remove"]


Options = Annotated[list[int], Meta(max_length=20)]


class PollVote(Frame, frozen=True):
    """`poll.vote`: the places of the chosen options, in place of those chosen before; none takes the vote back."""

    message_id: WireId
    options: Options


class PollClose(Frame, frozen=True):
    """`poll.close`: by its author or an admin, for good."""

    message_id: WireId
