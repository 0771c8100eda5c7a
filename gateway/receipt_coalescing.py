"""Coalesces the receipts for one connection: one frame in 100 ms, with the highest seq of each member (F117)."""

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
    """The unsent receipts of a chat and state, by user; `whole` is their frame if one event brought them all."""

    type: str
    latest: dict[int, Indicator]
    whole: Outgoing | None


class Sink(NamedTuple):
    """The connection of a buffer: its user, its writer, whether it can write now, and its aliases if it is compact."""

    user_id: int

    write: Callable[[Outgoing, Class], None]
    writable: Callable[[], bool]
    aliases: Callable[[], Mapping[int, int] | None]


class ReceiptBuffer:
    """The unsent receipts of one connection. It writes at most one frame in 100 ms.

    After a quiet time, the first receipt is written at the end of the same turn of the event loop, with all others of
    that turn. A binary frame holds all unsent receipts; a JSON frame holds those of one chat and one state, so the
    chats take turns, the longest waiting first (they may lag by seconds, F122). While the peer reads nothing, receipts
    keep coalescing: a slow peer gets the last state, not all steps to it. A late timer is a sign of an overloaded
    process: the next frame then waits for a second (F316).
    """

    __slots__ = ("_due_at", "_pending", "_quiet_at", "_sink", "_timer")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pending: dict[Key, PendingReceipts] = {}
        self._quiet_at = self._due_at = 0.0
        self._timer: asyncio.Handle | None = None

    def add(self, event: Event, outgoing: Outgoing) -> None:
        """Add an event's indicators; `outgoing` is the event's own frame."""
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
        """Write all unsent receipts now, in as many frames as needed, so that the next frame comes after them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending:
            self._quiet_at = asyncio.get_running_loop().time() + WINDOW
        while frame := self._take_binary() or self._take_text():
            self._sink.write(frame, Class.RECEIPT)

    def _take_binary(self) -> Outgoing | None:
        """Remove all receipts of chats that have aliases and return them as one frame; None if there are none.

        Delivered marks of the reader's own user are left out.
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
        """Remove the receipts that wait longest and return them as a JSON frame; None if there are none."""
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
        """Return the unsent indicators of a chat and state, without those that an unsent seen mark implies."""
        pending = self._pending[chat, state]
        if state != DELIVERED:
            return list(pending.latest.values())
        seen = self._pending.get((chat, SEEN))
        return [each for each in pending.latest.values() if not _implied_by_seen(each, seen)]

    def discard(self) -> None:
        """Drop all receipts: the connection is gone."""
        self._pending.clear()
        if self._timer is not None:
            self._timer.cancel()


def _frame(chat: int, type_: str, unsent: Sequence[Indicator]) -> Outgoing:
    receipts = [msgspec.Raw(each.entry) for each in unsent]
    return websocket.message(codec.frame(type_, {"chatId": str(chat), "receipts": receipts}))


def _implied_by_seen(delivered: Indicator, seen: PendingReceipts | None) -> bool:
    """Return whether the member's unsent seen mark implies this one: the higher state does (protocol 2.5)."""
    higher = seen.latest.get(delivered.user_id) if seen else None
    return higher is not None and higher.seq >= delivered.seq
