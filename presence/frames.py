"""The frames of typing and presence (protocol 2.1, 2.2)."""

from typing import Annotated, Literal

from msgspec import Meta

from chat.frames import WireId
from gateway.frames import Frame

Status = Literal["available", "away", "dnd", "brb", "in_meeting", "offline"]


class Typing(Frame, frozen=True):
    """`typing.start` and `typing.stop`: ephemeral, never answered."""

    chat_id: WireId


class TypingIndicator(Frame, frozen=True):
    """`typing.indicator`: a member begins (or goes on) or ends typing."""

    chat_id: str
    user_id: str
    display_name: str
    active: bool


class NamedTypist(Frame, frozen=True):
    """A typist that a `typing.indicator` of a large conversation names."""

    user_id: str
    display_name: str


class TypingTotal(Frame, frozen=True):
    """`typing.indicator` in a large conversation: the names of some typists, and their number, 0 at the end."""

    chat_id: str
    typists: list[NamedTypist]
    count: int


class PresenceUpdate(Frame, frozen=True):
    """`presence.update`: the state of this device; `available` leaves it to activity, `offline` appears offline."""

    status: Status


class PresenceWatch(Frame, frozen=True):
    """`presence.subscribe` and `presence.unsubscribe`: the users whose presence this connection follows."""

    user_ids: Annotated[list[WireId], Meta(max_length=10_000)]


class PresenceState(Frame, frozen=True, omit_defaults=True):
    """One user's presence: a state of `presence.update` or `unknown`; `asOf` while the server cannot read it."""

    user_id: str
    status: str
    last_seen: str | None = None
    as_of: str | None = None


class PresenceChanged(Frame, frozen=True):
    """`presence.changed`: the changed states among the subscriptions of this connection."""

    changes: list[PresenceState]


class PresenceList(Frame, frozen=True):
    """`GET /presence`: one state for each id, in their order."""

    results: list[PresenceState]
