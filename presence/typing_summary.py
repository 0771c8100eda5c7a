"""Typing in large conversations: each process sums up the typists, and sends its readers a summary a second (F138).

Frame by frame, 500 typists among 1,000 members would send each reader a thousand frames a second. So a change travels
to the processes as the notice `typing`, and a reader receives a view: some names, and the number of typists.
"""

import asyncio
from collections.abc import Collection, Iterable

import msgspec
from django.conf import settings

from gateway import codec, hub, publish, websocket
from gateway.bus import Event
from gateway.frames import Class
from gateway.ids import ConversationId, UserId
from gateway.outbound import Outgoing
from presence.frames import NamedTypist, TypingTotal

NOTICE = "typing"
MOST_NAMED = 3
# A client drops an indicator after 6 s without news (K3).
REPEAT_SECONDS = 4.5


class Change(msgspec.Struct, array_like=True):
    """A user begins, prolongs or ends typing in a large conversation; `hidden_from` are users who must not see it."""

    conversation_id: ConversationId
    version: int
    display_name: str
    active: bool
    hidden_from: list[int]


class ActiveTypist(msgspec.Struct):
    """A typist; at `until` (monotonic seconds) this process drops the typist, should the end be lost."""

    display_name: str
    hidden_from: list[int]
    until: float


View = tuple[tuple[int, ...], int]  # users to name, number of typists
EMPTY_VIEW: View = ((), 0)
_decode = msgspec.msgpack.Decoder(Change).decode


class TypingSummary:
    """The typists of one conversation, in the order of their begin, and the view that each reader received last."""

    __slots__ = ("last_views", "sending", "sent_at", "timer", "typists", "version")

    def __init__(self) -> None:
        self.version = 0
        self.typists: dict[int, ActiveTypist] = {}
        self.last_views: dict[int, View] = {}
        self.sent_at = float("-inf")
        self.timer: asyncio.TimerHandle | None = None
        self.sending = False

    def hidden_by_reader(self) -> dict[int, set[int]]:
        """Return the typists hidden from each reader: the reader, and users behind a block."""
        hidden: dict[int, set[int]] = {}
        for user, typist in self.typists.items():
            for reader in (user, *typist.hidden_from):
                hidden.setdefault(reader, set()).add(user)
        return hidden

    def view_for(self, hidden: Iterable[int] = ()) -> View:
        """Return the view of a reader from whom some typists are hidden."""
        excluded = set(hidden)
        named = []
        for user in self.typists:
            if user not in excluded:
                named.append(user)
            if len(named) == MOST_NAMED:
                break
        return tuple(named), len(self.typists) - len(excluded)


class TypingSummaries:
    """The summaries of all large conversations with typists, for the readers of this process."""

    def __init__(self) -> None:
        self._summaries: dict[int, TypingSummary] = {}

    def apply(self, event: Event) -> None:
        """Apply a change that this or another process published."""
        change = _decode(event.data)
        (user,) = event.about
        if not hub.current().users:
            return
        summary = self._summaries.setdefault(change.conversation_id, TypingSummary())
        summary.version = max(summary.version, change.version)
        loop = asyncio.get_running_loop()
        if change.active:
            until = loop.time() + 2 * settings.LIMITS.typing_expiry
            summary.typists[user] = ActiveTypist(change.display_name, change.hidden_from, until)
        else:
            summary.typists.pop(user, None)
        self._schedule(change.conversation_id, summary, summary.sent_at + settings.LIMITS.typing_batch)

    def _schedule(self, conversation_id: ConversationId, summary: TypingSummary, due: float) -> None:
        """Send the summary at a time of the loop, or sooner if a sooner sending is scheduled."""
        loop = asyncio.get_running_loop()
        if summary.timer is not None:
            if summary.timer.when() <= due:
                return
            summary.timer.cancel()
        summary.timer = loop.call_at(max(due, loop.time()), self._start_sending, conversation_id, summary)

    def _start_sending(self, conversation_id: ConversationId, summary: TypingSummary) -> None:
        summary.timer = None
        if not summary.sending:
            summary.sending = True
            hub.current().spawn(self._send(conversation_id, summary))

    async def _send(self, conversation_id: ConversationId, summary: TypingSummary) -> None:
        """Send each reader of this process a view that changed, and every view again after REPEAT_SECONDS (K3)."""
        _, members = await hub.current().current_members(conversation_id, summary.version)
        loop = asyncio.get_running_loop()
        now = loop.time()
        summary.typists = {user: typist for user, typist in summary.typists.items() if typist.until > now}
        repeat = now - summary.sent_at >= REPEAT_SECONDS
        summary.sent_at, summary.sending = now, False
        self._send_views(conversation_id, summary, members, repeat=repeat)
        if summary.typists:
            self._schedule(conversation_id, summary, now + REPEAT_SECONDS)
        elif not summary.last_views and summary.timer is None:
            self._summaries.pop(conversation_id, None)

    def _send_views(
        self, conversation_id: ConversationId, summary: TypingSummary, members: Collection[int], *, repeat: bool
    ) -> None:
        frames: dict[View, Outgoing] = {}
        hidden, full_view, before = summary.hidden_by_reader(), summary.view_for(), summary.last_views
        summary.last_views = {}
        users = hub.current().users
        readers = (
            [u for u in users if u in members] if len(users) < len(members) else [u for u in members if u in users]
        )
        for reader in readers:
            view = summary.view_for(hidden[reader]) if reader in hidden else full_view
            if view != EMPTY_VIEW:
                summary.last_views[reader] = view
            if view == before.get(reader, EMPTY_VIEW) and not (repeat and view != EMPTY_VIEW):
                continue
            if view not in frames:
                frames[view] = websocket.message(_frame(conversation_id, summary, view))
            for connection in tuple(users.get(reader, ())):
                connection.offer(frames[view], Class.TYPING)


def _frame(conversation_id: ConversationId, summary: TypingSummary, view: View) -> bytes:
    named, count = view
    typists = [NamedTypist(user_id=str(user), display_name=summary.typists[user].display_name) for user in named]
    return codec.frame("typing.indicator", TypingTotal(chat_id=str(conversation_id), typists=typists, count=count))


def publish_change(user_id: UserId, change: Change) -> None:
    """Publish a change to all processes."""
    publish.notice(NOTICE, [user_id], msgspec.msgpack.encode(change))


_summaries: TypingSummaries | None = None


def summaries() -> TypingSummaries:
    """Return this process's summaries; a web process has one event loop."""
    global _summaries
    if _summaries is None:
        _summaries = TypingSummaries()
    return _summaries
