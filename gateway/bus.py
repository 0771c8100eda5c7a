"""Events between processes: all web processes join one group of the channel layer; a batch of events is one publish.

There is one group and not one for each conversation: a batch then costs one publish, and one receive in each process
(decision 0002). Each packet carries its sender and a number without gaps, so that a hub notices a loss at once.
"""

import asyncio
import logging
import os
import threading
import uuid
from collections.abc import Callable, Sequence

import msgspec
from channels.layers import get_channel_layer

from gateway.batching import Batcher
from gateway.frames import Class
from gateway.indicators import Indicator

GROUP = "gateways"
PUBLISH_TIMEOUT = 2.0
FAREWELL = 0
logger = logging.getLogger(__name__)


class Event(msgspec.Struct, array_like=True, kw_only=True):
    """A frame and its receivers, an order to close connections, or a notice. An array on the bus: new fields go last.

    Receivers: `users`, or the members of `conversation_id` as of `seq` (0: the present ones) at membership `version`.
    `joined_before` excludes members who joined at that seq or later, because they may not read the message concerned.
    `skip_users`, `skip_devices` and `skip_connection` exclude some receivers.

    Order: `rev` orders the durable events of a conversation; 0 marks an ephemeral one. `replay_time` (Unix
    milliseconds, 0 for a live event) marks an event read back from the database: connections opened since then have it
    by sync.

    Content: `frame` is encoded once. If set, `own` replaces its last three bytes (the closing braces) for the `actor`'s
    connections. `indicators` repeat what the frame says about `chat`, for connections that take them as bytes;
    `coalesced_type` is the frame's type if several such frames may be merged into one. A frame that `opens` a chat
    carries the chat's alias along.

    A `notice` is no frame: each process passes it to its listeners (`Lookups.notices`); it is `about` some users.
    """

    conversation_id: int = 0
    version: int = 0
    seq: int = 0
    joined_before: int = 0
    rev: int = 0
    cls: int = Class.MESSAGE
    frame: bytes = b""
    own: bytes = b""
    actor: int = 0
    skip_connection: int = 0
    replay_time: int = 0
    skip_users: list[int] = []
    users: list[int] = []
    close_device: int = 0
    close_connection: int = 0
    code: int = 0
    reason: str = ""
    notice: str = ""
    about: list[int] = []
    data: bytes = b""
    chat: int = 0
    opens: bool = False
    coalesced_type: str = ""
    indicators: list[Indicator] = []
    skip_devices: list[int] = []


class Packet(msgspec.Struct, array_like=True):
    """A batch of events on the bus, with the process it comes from and its number there."""

    origin: str
    number: int
    events: list[Event]


class ReceivedPacket(msgspec.Struct, array_like=True):
    """A packet as it arrives. Its events are decoded only if another process sent it."""

    origin: str
    number: int
    events: msgspec.Raw


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ReceivedPacket).decode
_events = msgspec.msgpack.Decoder(list[Event]).decode


class Bus:
    """One process's end of the bus: publishes in natural batches, and receives the packets of all processes.

    `deliver` receives the events of others; `lost` is called after packets were lost or the subscription broke.
    """

    def __init__(self, deliver: Callable[[Sequence[Event]], None], lost: Callable[[], None]) -> None:
        self.origin = uuid.uuid4().hex
        self._deliver = deliver
        self._lost = lost
        self._number = 0
        self._last_number: dict[str, int] = {}
        self._beat_at: dict[str, float] = {}  # other hubs: when each was last heard, monotonic seconds
        self._layer = get_channel_layer()
        self._publisher: Batcher[Event, None] = Batcher(self._publish, most=500)
        self.heard_at = 0.0
        self.broken = False

    def publish(self, event: Event) -> None:
        """Send an event to the other processes. After a failure, they notice the gap and recover from it."""
        self._publisher.submit(event).add_done_callback(_ignore_result)

    async def beat(self) -> None:
        """Publish an empty packet. Its echo proves that this process's subscription works."""
        await self._publish([])

    async def leave(self) -> None:
        """Announce the end of this process, so that the others do not search for events it failed to publish."""
        self._number = FAREWELL - 1
        await self._publish([])

    def process_count(self) -> int:
        """Return the number of processes that have a hub, this one included."""
        return 1 + len(self._beat_at)

    def remove_silent(self, silence: float) -> float:
        """Remove the hubs that were silent for `silence` seconds. Return the longest silence, 0 for none."""
        now = asyncio.get_running_loop().time()
        silent = {origin: now - at for origin, at in self._beat_at.items() if now - at > silence}
        for origin in silent:
            self._remove(origin)
        return max(silent.values(), default=0.0)

    def _remove(self, origin: str) -> None:
        self._beat_at.pop(origin, None)
        self._last_number.pop(origin, None)

    async def _publish(self, events: Sequence[Event]) -> list[None]:
        self._number += 1
        packet = _encode(Packet(self.origin, self._number, list(events)))
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT):
                await self._layer.group_send(GROUP, {"type": "gateway.packet", "packet": packet})
        except Exception as fault:
            self.mark_broken(f"publish failed: {type(fault).__name__}")
        return [None] * len(events)

    def mark_broken(self, why: str) -> None:
        if not self.broken:
            logger.warning("bus: %s; local delivery goes on", why)
        self.broken = True

    async def listen(self) -> None:
        """Join the group and receive packets until cancelled. Joins again after any failure."""
        while True:
            try:
                channel = await self._layer.new_channel()
                await self._layer.group_add(GROUP, channel)
                while True:
                    message = await self._layer.receive(channel)
                    self._take(_decode(message["packet"]))
            except Exception as fault:
                self.mark_broken(f"subscription failed: {type(fault).__name__}")
                await asyncio.sleep(0.5)

    def _take(self, packet: ReceivedPacket) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        if packet.number == FAREWELL:
            self._remove(packet.origin)
            return
        events = _events(packet.events) if packet.origin != self.origin else []
        if packet.origin != self.origin and (not events or packet.origin in self._beat_at):
            self._beat_at[packet.origin] = self.heard_at  # outlets send no beat and may end at any time
        expected = self._last_number.get(packet.origin, packet.number - 1) + 1
        self._last_number[packet.origin] = packet.number
        missed = packet.number != expected
        if events:
            self._deliver(events)
        if missed or self.broken:
            logger.warning("bus: back after a loss (%s packets missed)", packet.number - expected)
            self.broken = False
            self._lost()


def _ignore_result(future: "asyncio.Future[None]") -> None:
    future.exception()


class Outlet:
    """Publishes for a process without a hub (Celery, commands), on an event loop in a thread of its own."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="bus-outlet", daemon=True).start()
        self._bus = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    async def _open(self) -> Bus:
        return Bus(deliver=lambda events: None, lost=lambda: None)

    def post(self, event: Event) -> None:
        """Publish an event and wait until Redis has it, at most PUBLISH_TIMEOUT seconds."""
        asyncio.run_coroutine_threadsafe(self._bus._publish([event]), self._loop).result(PUBLISH_TIMEOUT + 1)


_hub: Callable[[Event], None] | None = None
_outlet: Outlet | None = None
_lock = threading.Lock()


def attach(take: Callable[[Event], None] | None) -> None:
    """Route all events of this process to `take`, which must be thread-safe (the hub's), or to the outlet if None."""
    global _hub
    _hub = take


def post(event: Event) -> None:
    """Send an event to all connections concerned, in all processes. May be called from any thread of any process."""
    global _outlet
    if _hub is not None:
        _hub(event)
        return
    with _lock:
        if _outlet is None or _outlet.pid != os.getpid():
            _outlet = Outlet()
    _outlet.post(event)
