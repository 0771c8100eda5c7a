"""The hub of a web process: its local connections, the receivers of each event, and the order within a conversation.

It knows no table: `Lookups`, passed in by config, loads members and missed events.
"""

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, ParamSpec, TypeVar

from django.conf import settings

from gateway import bus, closing, codec, threads, websocket
from gateway.bus import Bus, Event
from gateway.connection import Connection
from gateway.delivery_log import DeliveryLog
from gateway.frames import Class, SystemStatus
from gateway.ids import ConversationId
from gateway.shedding import reconnect_delay
from gateway.topics import Audience, Known, Topic

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger(__name__)
TOPICS_KEPT = 20_000
GAP_WAIT = 0.05
BEAT_INTERVAL = 1.0
SILENCE_SECONDS = 3.0
CALL_SECONDS = 30
STOP_SECONDS = 0.5
MARGIN = timedelta(seconds=5)


class Lookups(NamedTuple):
    """Functions of other apps that the hub calls: plain functions, run on the handler threads, except listeners."""

    audience: Callable[[ConversationId, Known | None], Audience]  # conversation, members known already
    between: Callable[[ConversationId, int, int], list[Event]]  # conversation, after rev, before rev
    since: Callable[[list[int], datetime], list[Event]]  # users, moment
    notices: Mapping[
        str, tuple[Callable[[Event], None], ...]
    ] = {}  # listeners by name, on the event loop: they return at once


class Hub:
    """The local connections and topics. All methods but `publish` and `call` run on the hub's event loop."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.users: dict[int, list[Connection]] = defaultdict(list)
        self.connections: dict[int, Connection] = {}
        self._topics: dict[int, Topic] = {}
        self._large: dict[int, Topic] = {}  # those that track their connected members
        self.bus = Bus(self._receive, self._recover)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_good = datetime.now(UTC)
        self._recovering = False
        self._lost_again = False
        self.draining = False
        self._published_status: list[str] = []
        self._close_orders = closing.CloseOrders()
        self.delivery_log = DeliveryLog()

    def start(self) -> None:
        """Join the bus, and receive all events of this process."""
        bus.attach(self.publish)
        self.spawn(self.bus.listen())
        self.spawn(self._watch_bus())

    def spawn(self, job: "Awaitable[None]") -> None:
        """Run a coroutine in the background, until the hub stops. A failure is logged."""
        task = asyncio.ensure_future(job)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            logger.error("hub: a background job failed", exc_info=task.exception())

    def call(self, make: "Callable[[], Coroutine[Any, Any, R]]") -> R:
        """Run a coroutine on the hub's loop from another thread. Return its result, after CALL_SECONDS at most."""
        return asyncio.run_coroutine_threadsafe(make(), self._loop).result(CALL_SECONDS)

    async def stop(self) -> None:
        """Leave the bus, and cancel the background tasks. Later events of this process go through the outlet."""
        bus.attach(None)
        await self.bus.leave()
        # Repeated, because redis-py may swallow a cancellation.
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)

    # --- connections ---------------------------------------------------------------------------------------------

    def add(self, connection: Connection) -> None:
        self.connections[connection.id] = connection
        own = self.users[connection.session.user_id]
        own.append(connection)
        if len(own) == 1:
            for topic in self._large.values():
                topic.add_connected(connection.session.user_id)
        code, reason = self._close_orders.pending_for(connection.session, self._loop.time())
        if code:
            connection.close(code, reason)
        elif self.draining:
            connection.close(4503, reconnect_delay(settings.LIMITS.drain_seconds))

    def remove(self, connection: Connection) -> None:
        if self.connections.pop(connection.id, None) is None:
            return
        self.delivery_log.record_closed(connection)
        own = self.users[connection.session.user_id]
        own.remove(connection)
        if not own:
            del self.users[connection.session.user_id]
            for topic in self._large.values():
                topic.remove_connected(connection.session.user_id)

    def close_oldest(self, user_id: int) -> None:
        """Enforce the connection cap of F289 within this process, independently of Redis."""
        own = sorted((c for c in self.users.get(user_id, ()) if not c.closing), key=lambda c: c.id)
        for connection in own[: max(0, len(own) - settings.LIMITS.connections_per_user)]:
            connection.close(4409, "replaced by a newer connection")

    async def drain(self) -> None:
        """Stop reading frames, wait for the acks of those in flight, then close all connections (4503)."""
        self.draining = True
        await closing.drain(list(self.connections.values()))

    # --- events --------------------------------------------------------------------------------------------------

    def publish(self, event: Event) -> None:
        """Deliver an event of this process to local connections, and publish it on the bus. Thread-safe."""
        if threading.get_ident() == self._thread:
            self._publish(event)
        else:
            self._loop.call_soon_threadsafe(self._publish, event)

    def _publish(self, event: Event) -> None:
        self._dispatch(event)
        self.bus.publish(event)

    def _receive(self, events: Sequence[Event]) -> None:
        for event in events:
            self._dispatch(event)

    def _dispatch(self, event: Event) -> None:
        if event.notice:
            self._notify(event)
        elif event.conversation_id:
            self._deliver_or_wait(event)
        elif event.users:
            self._deliver(event, event.users)
        else:
            self._close(event)

    def _notify(self, event: Event) -> None:
        for listen in self._lookups.notices.get(event.notice, ()):
            listen(event)

    def _close(self, event: Event) -> None:
        self._close_orders.record(event, self._loop.time())
        for connection in closing.matching(event, self.connections):
            connection.close(event.code, event.reason)

    def _deliver(self, event: Event, users: Iterable[int]) -> None:
        message = websocket.message(event.frame)
        cls, skip, own_users = Class(event.cls), event.skip_connection, self.users
        skip_users, skip_devices = set(event.skip_users) if event.skip_users else (), event.skip_devices
        for user in users:
            connections = own_users.get(user)
            if connections is None or user in skip_users:
                continue
            is_own = user == event.actor and event.own
            outgoing = websocket.message(event.frame[:-3] + event.own) if is_own else message
            for connection in tuple(connections):
                if connection.id == skip or (event.replay_time and connection.opened_at() >= event.replay_time):
                    continue
                if skip_devices and connection.session.device_id in skip_devices:
                    continue
                connection.send_event(event, outgoing, cls)

    async def current_members(self, conversation_id: int, version: int = 0) -> tuple[int, Collection[int]]:
        """Return a conversation's membership version and current members, as of `version` or later."""
        topic = self._topic(conversation_id)
        if topic.loading is None and topic.version < version:
            topic.loading = asyncio.ensure_future(self._load(conversation_id, topic, once=True))
        if topic.loading is not None:
            await asyncio.wait([topic.loading])
        return topic.version, topic.current

    # --- order within a conversation -----------------------------------------------------------------------------

    def _topic(self, conversation_id: int) -> Topic:
        topic = self._topics.get(conversation_id)
        if topic is None:
            if len(self._topics) >= TOPICS_KEPT:
                self._evict_topic()
            topic = self._topics[conversation_id] = Topic()
        return topic

    def _evict_topic(self) -> None:
        for id_, topic in self._topics.items():
            if topic.loading is None and not topic.early and topic.summaries.digest is None:
                del self._topics[id_]
                self._large.pop(id_, None)
                return

    def _deliver_or_wait(self, event: Event) -> None:
        """Deliver an event now, or after the members of its version are loaded or an earlier event has come."""
        if not self.users:
            self._skip(event)
            return
        topic = self._topic(event.conversation_id)
        if topic.loading is not None or event.version > topic.version:
            topic.waiting.append(event)
            if topic.loading is None:
                topic.loading = asyncio.ensure_future(self._load(event.conversation_id, topic))
            return
        self._deliver_in_order(topic, event)

    def _skip(self, event: Event) -> None:
        """Only advance the conversation's rev: nobody is connected, and later connections start from a sync."""
        topic = self._topics.get(event.conversation_id)
        if topic is not None and topic.rev >= 0 and event.rev:
            topic.rev = max(topic.rev, event.rev, *topic.early)
            topic.early.clear()

    async def _load(self, conversation_id: int, topic: Topic, *, once: bool = False) -> None:
        while topic.waiting or once:
            once = False
            ready, topic.waiting = topic.waiting, []
            audience = await threads.retry(
                "members", self._lookups.audience, ConversationId(conversation_id), topic.known
            )
            topic.update(audience, self.users)
            if topic.connected is not None:
                self._large[conversation_id] = topic
            # Events of a newer version came during this lookup: their members are loaded by the next one.
            late = topic.waiting
            topic.waiting = [event for event in late if event.version > topic.version]
            for event in ready + [event for event in late if event.version <= topic.version]:
                self._deliver_in_order(topic, event)
        topic.loading = None

    def _deliver_in_order(self, topic: Topic, event: Event) -> None:
        rev = event.rev
        if not rev:
            self._deliver_or_summarize(topic, event)
            return
        if rev == topic.rev + 1:
            topic.rev = rev
        elif rev > topic.rev:
            self._keep_early(topic, event)
            return
        elif rev >= topic.followed_from:
            return
        self._deliver_or_summarize(topic, event)
        while topic.early and (following := topic.early.pop(topic.rev + 1, None)):
            topic.rev += 1
            self._deliver_or_summarize(topic, following)

    def _deliver_or_summarize(self, topic: Topic, event: Event) -> None:
        """Deliver an event whose turn has come, or leave it to the next summary."""
        begins = topic.summaries.digest is None
        summed = bool(event.rev) and topic.summaries.absorbs(event, self._loop.time())
        if event.seq:
            self.delivery_log.record(event, summed=summed)
        if not summed:
            self._deliver(event, topic.receivers(event.seq, event.joined_before))
        elif begins:
            self._schedule_summary(event.conversation_id, topic)

    def _schedule_summary(self, conversation_id: int, topic: Topic) -> None:
        self._loop.call_later(settings.LIMITS.summary_interval, self._deliver_summary, conversation_id, topic)

    def _deliver_summary(self, conversation_id: int, topic: Topic) -> None:
        """Deliver a summary to all current members. Repeats while the conversation stays in summary mode."""
        summary = topic.summaries.end_interval(conversation_id, self._loop.time())
        if summary is not None:
            self._deliver(summary, topic.receivers(0))
        if topic.summaries.digest is not None:
            self._schedule_summary(conversation_id, topic)

    def _keep_early(self, topic: Topic, event: Event) -> None:
        if not topic.early:
            self._loop.call_later(GAP_WAIT, self._check_gap, event.conversation_id, topic, topic.rev)
        topic.early[event.rev] = event

    def _check_gap(self, conversation_id: int, topic: Topic, rev: int) -> None:
        """Load a missing event from the database, if it has not come in the meantime."""
        if topic.early and topic.rev > rev:
            self._loop.call_later(GAP_WAIT, self._check_gap, conversation_id, topic, topic.rev)
        elif topic.early:
            self.spawn(self._fill_gap(conversation_id, topic))

    async def _fill_gap(self, conversation_id: int, topic: Topic) -> None:
        """Deliver the missing events below the early ones, then those. A rev without a row never had a frame."""
        if not topic.early:
            return  # the missing event has come
        after, until = topic.rev, min(topic.early)
        for event in await threads.retry("a gap", self._lookups.between, ConversationId(conversation_id), after, until):
            if topic.rev < event.rev < until:
                topic.rev = event.rev
                self._deliver_or_summarize(topic, event)
        if topic.rev < until:
            topic.rev = until - 1
        while following := topic.early.pop(topic.rev + 1, None):
            topic.rev += 1
            self._deliver_or_summarize(topic, following)
        if topic.early:
            self._loop.call_later(GAP_WAIT, self._check_gap, conversation_id, topic, topic.rev)

    # --- losses --------------------------------------------------------------------------------------------------

    async def _watch_bus(self) -> None:
        """Expect our own beat on the bus every second; silence means that the subscription is broken."""
        self.bus.heard_at = self._loop.time()
        while True:
            await self.bus.beat()
            await asyncio.sleep(BEAT_INTERVAL)
            silent = self._loop.time() - self.bus.heard_at
            self._publish_status()
            if silent > SILENCE_SECONDS:
                self.bus.mark_broken(f"silent for {silent:.0f} s")
            elif silence := self.bus.remove_silent(SILENCE_SECONDS):
                self._recover_after_death(silence)
            elif not self._recovering:
                self._last_good = datetime.now(UTC)

    def _recover_after_death(self, silent: float) -> None:
        """Recover from the death of a process `silent` seconds ago: it may have committed events without publishing."""
        logger.warning("hub: another process is gone; looking for what it left untold")
        self._last_good = min(self._last_good, datetime.now(UTC) - timedelta(seconds=silent))
        self._recover()

    def degraded(self) -> list[str]:
        """Return the degraded parts: those that need the bus, while it is broken."""
        return ["typing", "receipts", "presence"] if self.bus.broken else []

    def _publish_status(self) -> None:
        now = self.degraded()
        if now != self._published_status:
            self._published_status = now
            frame = codec.frame("system.status", SystemStatus(degraded=now))
            for connection in list(self.connections.values()):
                connection.write(frame, Class.BADGE)

    def _recover(self) -> None:
        self._notify(Event(notice="lost"))
        if self._recovering:
            self._lost_again = True
        elif self.users:
            self._recovering = True
            self.spawn(self._deliver_missed())

    async def _deliver_missed(self) -> None:
        """Deliver the events that others stored while the bus was broken. Clients drop those that they already have."""
        since = self._last_good - MARGIN
        try:
            for event in await threads.retry("what was lost", self._lookups.since, list(self.users), since):
                self._dispatch(event)
        finally:
            self._recovering = False
            if self._lost_again:
                # Events lost during this recovery may have been stored after its database query.
                self._lost_again = False
                self._recover()


_hub: Hub | None = None


def start(lookups: Lookups) -> Hub:
    """Start this process's hub on the running event loop, once, and return it."""
    global _hub
    if _hub is None:
        _hub = Hub(lookups)
        _hub.start()
    return _hub


def current() -> Hub:
    """Return this process's hub."""
    assert _hub is not None, "only a web process has a hub"
    return _hub


def running() -> bool:
    """Return whether this process has a hub."""
    return _hub is not None
