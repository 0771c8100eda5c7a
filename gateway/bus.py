"""News between processes: every web process is in one group of the channel layer; a batch of events is one publish.

One group, not one for each conversation: a batch then costs one publish and one receive a process instead of one for each
message (decision 0002). Each packet bears its sender and a number without holes, so that a hub notices a loss at once.
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
    """A frame and who gets it, or an order to close connections.

    For a conversation: members as of `seq` (0: those of now) at membership `version`; `rev` puts events in order, 0 marks
    an ephemeral one. `replay_time` (Unix milliseconds, 0 for now) marks news read back from storage: connections that were
    opened since have it by sync. `joined_before`, where given, leaves out who joined at that seq or later: it is about a message that they may not read.
    `own`, where given, takes the place of the frame's last three bytes (its closing braces) for the `actor`'s
    connections. A `notice` is no frame: each process hands it to its own rules (`Lookups.notices`), `about` some users.
    `indicators` say what the frame says, about `chat`, for connections that take them in bytes; `coalesced_type` names the
    frame's type where several such frames may be told as one. A frame that `opens` brings its `chat`'s alias along.
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
    """What travels: the process it comes from, its number there, and the events."""

    origin: str
    number: int
    events: list[Event]


class ReceivedPacket(msgspec.Struct, array_like=True):
    """A packet as it arrives. Its events are unpacked only where somebody else sent it: a process hears itself too."""

    origin: str
    number: int
    events: msgspec.Raw


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ReceivedPacket).decode
_events = msgspec.msgpack.Decoder(list[Event]).decode


class Bus:
    """One process's end of the bus: publishes in natural batches, counts, and hears every other process.

    `deliver` gets the events of others; `lost` is called when packets were missed or the subscription was broken.
    """

    def __init__(self, deliver: Callable[[Sequence[Event]], None], lost: Callable[[], None]) -> None:
        self.origin = uuid.uuid4().hex
        self._deliver = deliver
        self._lost = lost
        self._number = 0
        self._last_number: dict[str, int] = {}
        self._beat_at: dict[str, float] = {}  # the other hubs, and when each was heard last
        self._layer = get_channel_layer()
        self._publisher: Batcher[Event, None] = Batcher(self._publish, most=500)
        self.heard_at = 0.0
        self.broken = False

    def publish(self, event: Event) -> None:
        """Hand an event to the other processes; a failure is their gap to heal, and logged once."""
        self._publisher.submit(event).add_done_callback(_ignore_result)

    async def beat(self) -> None:
        """Publish an empty packet: its echo proves that this process's subscription lives."""
        await self._publish([])

    async def leave(self) -> None:
        """Say that this process ends, so that the others need not look for what it may have left untold."""
        self._number = FAREWELL - 1
        await self._publish([])

    def process_count(self) -> int:
        """Return how many processes with a hub there are, this one included."""
        return 1 + len(self._beat_at)

    def remove_silent(self, silence: float) -> float:
        """Forget the hubs that beat no more; return for how many seconds the most silent of them was, 0 for none."""
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
        """Join the group and take packets until cancelled; joins again after any failure."""
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
            self._beat_at[packet.origin] = self.heard_at  # outlets have no beat, and come and go
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
    """The way to the bus for processes without a hub (Celery, commands): a loop of its own on a thread, one a process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="bus-outlet", daemon=True).start()
        self._bus = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    async def _open(self) -> Bus:
        return Bus(deliver=lambda events: None, lost=lambda: None)

    def post(self, event: Event) -> None:
        """Publish and wait until Redis has it (at most PUBLISH_TIMEOUT seconds)."""
        asyncio.run_coroutine_threadsafe(self._bus._publish([event]), self._loop).result(PUBLISH_TIMEOUT + 1)


_hub: Callable[[Event], None] | None = None
_outlet: Outlet | None = None
_lock = threading.Lock()


def attach(take: Callable[[Event], None] | None) -> None:
    """Make `take` (thread-safe) the way of this process's events: the hub's, in a web process."""
    global _hub
    _hub = take


def post(event: Event) -> None:
    """Hand an event to every connection concerned, in all processes. From any thread of any process."""
    global _outlet
    if _hub is not None:
        _hub(event)
        return
    with _lock:
        if _outlet is None or _outlet.pid != os.getpid():
            _outlet = Outlet()
    _outlet.post(event)
