"""The bodies of the REST routes of single messages."""

from typing import Any

from chat.frames import Message, Options, Person, Seq, WireId
from gateway.frames import Frame
from gateway.paging import Listing


class EditMessage(Frame, frozen=True):
    """`PATCH /messages/{id}`: as `message.edit`."""

    content: str
    version: int | None = None
    mentions: list[WireId] | None = None


class MessageVersion(Frame, frozen=True):
    """A message's text from a time on."""

    version: int
    content: str
    written_at: str


class MessageVersions(Listing[MessageVersion], frozen=True):
    """The versions of a message's text, the latest first."""


class Reacted(Frame, frozen=True):
    """All reactions of a message, and its rev."""

    rev: int
    reactions: list[Any]


class OneReaction(Frame, frozen=True):
    """One person's emoji on a message."""

    emoji: str
    user: Person
    created_at: str


class Reactions(Listing[OneReaction], frozen=True):
    """Who reacted to a message, the first one first."""


class PollVotes(Frame, frozen=True):
    """`PUT /messages/{id}/vote`: the places of the chosen options."""

    options: Options


class Vote(Frame, frozen=True):
    """One person's choice of one option."""

    option: int
    user: Person
    created_at: str


class Votes(Listing[Vote], frozen=True):
    """Your choice and, unless the poll is anonymous, the choices of all others."""

    mine: list[int]


class Replies(Listing[Message], frozen=True):
    """The replies of a thread in seq order, and how many of all of them you have not read."""

    unread_count: int


class ThreadMark(Frame, frozen=True):
    """`POST /messages/{id}/replies/read`."""

    seq: Seq


class Thread(Frame, frozen=True):
    """A thread in a list: the message at which it begins, null where you may not see that."""

    thread_id: str
    root: Message | None
    last_seq: int
    unread_count: int


class Threads(Listing[Thread], frozen=True):
    """The threads of a conversation, the latest reply first."""
