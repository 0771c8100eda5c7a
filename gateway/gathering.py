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


class Batch(msgspec.Struct):
    """What waits about one conversation and state: by user, and the frame that says all of it where one event did."""

    type: str
    latest: dict[int, Indicator]
    whole: Outgoing | None


class Way(NamedTuple):
    """How a connection takes what was gathered: whose it is, its writer, whether it takes anything now, aliases if compact."""

    user_id: int

    write: Callable[[Outgoing, Class], None]
    ready: Callable[[], bool]
    aliases: Callable[[], Mapping[int, int] | None]


class Gathering:
    """The receipts that wait for one connection: at most one frame in 100 ms, whatever comes.

    The first after a quiet time goes at the end of the same turn of the event loop, with all that this turn brings. In
    bytes a frame says all that waits; in JSON it speaks of one chat and one state, so the chats take turns, that which
    waits longest first (they may lag by seconds, F122). While the peer takes nothing they go on gathering, so that a slow
    one gets the last state and not all the steps to it. A timer that comes late says that this process is stressed: then
    a second goes by before the next ones (F316).
    """

    __slots__ = ("_batches", "_due_at", "_quiet_at", "_timer", "_way")

    def __init__(self, way: Way) -> None:
        self._way = way
        self._batches: dict[Key, Batch] = {}
        self._quiet_at = self._due_at = 0.0
        self._timer: asyncio.Handle | None = None

    def add(self, event: Event, outgoing: Outgoing) -> None:
        """Take an event's indicators; `outgoing` is its frame by itself."""
        for indicator in event.indicators:
            key = event.chat, indicator.state
            batch = self._batches.get(key)
            if batch is None:
                batch = self._batches[key] = Batch(event.gathers, {}, outgoing)
            elif batch.whole is not outgoing:
                batch.whole = None
            known = batch.latest.get(indicator.user_id)
            if known is None or known.seq < indicator.seq:
                batch.latest[indicator.user_id] = indicator
        self._wait()

    def _wait(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            now = loop.time()
            self._due_at = max(now, self._quiet_at)
            self._timer = loop.call_at(self._due_at, self._due) if self._due_at > now else loop.call_soon(self._due)

    def _due(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._way.ready():
            self._due_at = now + WINDOW
            self._timer = loop.call_at(self._due_at, self._due)
            return
        self._timer = None
        self._quiet_at = now + (STRESSED_WINDOW if now - self._due_at > HIGH * settings.LIMITS.overload_lag else WINDOW)
        frame = self._in_bytes() or self._next()
        if frame is not None:
            self._way.write(frame, Class.RECEIPT)
        if self._batches:
            self._wait()

    def flush(self) -> None:
        """Write all that waits, whatever it takes: something must come after it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._batches:
            self._quiet_at = asyncio.get_running_loop().time() + WINDOW
        while frame := self._in_bytes() or self._next():
            self._way.write(frame, Class.RECEIPT)

    def _in_bytes(self) -> Outgoing | None:
        """Take all that waits about chats that have aliases, as one frame; None where nothing is left to be said.

        What one's own devices hold says nothing to them.
        """
        aliases, own = self._way.aliases(), self._way.user_id
        if not aliases:
            return None
        content = [
            encode(aliases[chat], each)
            for chat, state in sorted(self._batches)  # delivered before seen
            if chat in aliases
            for each in self._told(chat, state)
            if state != DELIVERED or each.user_id != own
        ]
        self._batches = {key: batch for key, batch in self._batches.items() if key[0] not in aliases}
        return websocket.binary(b"".join(content)) if content else None

    def _next(self) -> Outgoing | None:
        """Take what waits longest, as a JSON frame; None where nothing waits."""
        while self._batches:
            chat, state = next(iter(self._batches))
            told = self._told(chat, state)
            batch = self._batches.pop((chat, state))
            if told:
                return batch.whole if batch.whole and len(told) == len(batch.latest) else _frame(chat, batch.type, told)
        return None

    def _told(self, chat: int, state: int) -> list[Indicator]:
        """Return what there is to be said of a chat and state: a seen mark that waits too says delivered as well."""
        batch = self._batches[chat, state]
        if state != DELIVERED:
            return list(batch.latest.values())
        seen = self._batches.get((chat, SEEN))
        return [each for each in batch.latest.values() if not _implied(each, seen)]

    def discard(self) -> None:
        """Forget what waits: the connection is gone."""
        self._batches.clear()
        if self._timer is not None:
            self._timer.cancel()


def _frame(chat: int, type_: str, told: Sequence[Indicator]) -> Outgoing:
    receipts = [msgspec.Raw(each.entry) for each in told]
    return websocket.message(codec.frame(type_, {"chatId": str(chat), "receipts": receipts}))


def _implied(delivered: Indicator, seen: Batch | None) -> bool:
    """Say whether a member's seen mark that waits too says as much: the higher state implies the lower (protocol 2.5)."""
    higher = seen.latest.get(delivered.user_id) if seen else None
    return higher is not None and higher.seq >= delivered.seq
