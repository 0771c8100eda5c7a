"""Receipts on their way to one connection: gathered for a tenth of a second, deltas only, the highest of each member (F117)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from django.conf import settings

from gateway import codec, websocket
from gateway.bus import Event
from gateway.frames import Class
from gateway.indicators import DELIVERED, SEEN, Indicator, encode
from gateway.outbound import Outgoing
from gateway.shedding import HIGH

WINDOW = 0.1
STRESSED_WINDOW = 1.0
Key = tuple[int, int]  # conversation, state


class PendingReceipts(msgspec.Struct):
    """What waits about one conversation and state: by user, and the frame that says all of it where one event did."""

    type: str
    latest: dict[int, Indicator]
    whole: Outgoing | None


class Sink(NamedTuple):
    """How a connection takes what was gathered: whose it is, its writer, whether it takes anything now, aliases if compact."""

    user_id: int

    write: Callable[[Outgoing, Class], None]
    writable: Callable[[], bool]
    aliases: Callable[[], Mapping[int, int] | None]


class ReceiptBuffer:
    """The receipts that wait for one connection: at most one frame in 100 ms, whatever comes.

    The first after a quiet time goes at the end of the same turn of the event loop, with all that this turn brings. In
    bytes a frame says all that waits; in JSON it speaks of one chat and one state, so the chats take turns, that which
    waits longest first (they may lag by seconds, F122). While the peer takes nothing they go on gathering, so that a slow
    one gets the last state and not all the steps to it. A timer that comes late says that this process is stressed: then
    a second goes by before the next ones (F316).
    """

    __slots__ = ("_due_at", "_pending", "_quiet_at", "_sink", "_timer")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pending: dict[Key, PendingReceipts] = {}
        self._quiet_at = self._due_at = 0.0
        self._timer: asyncio.Handle | None = None

    def add(self, event: Event, outgoing: Outgoing) -> None:
        """Take an event's indicators; `outgoing` is its frame by itself."""
        for indicator in event.indicators:
            key = event.chat, indicator.state
            pending = self._pending.get(key)
            if pending is None:
                pending = self._pending[key] = PendingReceipts(event.coalesced_type, {}, outgoing)
            elif pending.whole is not outgoing:
                pending.whole = None
            known = pending.latest.get(indicator.user_id)
            if known is None or known.seq < indicator.seq:
                pending.latest[indicator.user_id] = indicator
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            now = loop.time()
            self._due_at = max(now, self._quiet_at)
            self._timer = (
                loop.call_at(self._due_at, self._write_next) if self._due_at > now else loop.call_soon(self._write_next)
            )

    def _write_next(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._sink.writable():
            self._due_at = now + WINDOW
            self._timer = loop.call_at(self._due_at, self._write_next)
            return
        self._timer = None
        self._quiet_at = now + (STRESSED_WINDOW if now - self._due_at > HIGH * settings.LIMITS.overload_lag else WINDOW)
        frame = self._take_binary() or self._take_text()
        if frame is not None:
            self._sink.write(frame, Class.RECEIPT)
        if self._pending:
            self._schedule()

    def flush(self) -> None:
        """Write all that waits, whatever it takes: something must come after it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending:
            self._quiet_at = asyncio.get_running_loop().time() + WINDOW
        while frame := self._take_binary() or self._take_text():
            self._sink.write(frame, Class.RECEIPT)

    def _take_binary(self) -> Outgoing | None:
        """Take all that waits about chats that have aliases, as one frame; None where nothing is left to be said.

        What one's own devices hold says nothing to them.
        """
        aliases, own = self._sink.aliases(), self._sink.user_id
        if not aliases:
            return None
        content = [
            encode(aliases[chat], each)
            for chat, state in sorted(self._pending)  # delivered before seen
            if chat in aliases
            for each in self._unsent(chat, state)
            if state != DELIVERED or each.user_id != own
        ]
        self._pending = {key: pending for key, pending in self._pending.items() if key[0] not in aliases}
        return websocket.binary(b"".join(content)) if content else None

    def _take_text(self) -> Outgoing | None:
        """Take what waits longest, as a JSON frame; None where nothing waits."""
        while self._pending:
            chat, state = next(iter(self._pending))
            unsent = self._unsent(chat, state)
            pending = self._pending.pop((chat, state))
            if unsent:
                return (
                    pending.whole
                    if pending.whole and len(unsent) == len(pending.latest)
                    else _frame(chat, pending.type, unsent)
                )
        return None

    def _unsent(self, chat: int, state: int) -> list[Indicator]:
        """Return what there is to be said of a chat and state: a seen mark that waits too says delivered as well."""
        pending = self._pending[chat, state]
        if state != DELIVERED:
            return list(pending.latest.values())
        seen = self._pending.get((chat, SEEN))
        return [each for each in pending.latest.values() if not _implied_by_seen(each, seen)]

    def discard(self) -> None:
        """Forget what waits: the connection is gone."""
        self._pending.clear()
        if self._timer is not None:
            self._timer.cancel()


def _frame(chat: int, type_: str, unsent: Sequence[Indicator]) -> Outgoing:
    receipts = [msgspec.Raw(each.entry) for each in unsent]
    return websocket.message(codec.frame(type_, {"chatId": str(chat), "receipts": receipts}))


def _implied_by_seen(delivered: Indicator, seen: PendingReceipts | None) -> bool:
    """Say whether a member's seen mark that waits too says as much: the higher state implies the lower (protocol 2.5)."""
    higher = seen.latest.get(delivered.user_id) if seen else None
    return higher is not None and higher.seq >= delivered.seq
