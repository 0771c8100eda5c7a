"""Typing states: kept in this process's memory, published to the other members, ended by time, a stop or a message.

At most one start a second counts (F132). A state ends 5 s after its last start (F131). While it lasts it is published
again by the clock, once in 5 s at most (K3). It is never stored, and its frames are dropped first (F136, F139). In
conversations with 50 members and more, `typing_summary` sends the states.
"""

import asyncio
from collections.abc import Collection

from django.conf import settings

from chat.refusals import NotAMember
from gateway import codec, hub, publish, threads
from gateway.bus import Event
from gateway.frames import Class
from gateway.ids import UNKNOWN_DEVICE, ConversationId, DeviceId, UserId
from gateway.indicators import ACTIVE, TYPING, Indicator
from presence import typing_summary
from presence.frames import TypingIndicator
from presence.queries import Typist, read_member_number, read_typist

Key = tuple[UserId, ConversationId]
# Later than a state ends without another start, and sooner than a client drops an indicator without news (6 s, K3).
REPEAT_SECONDS = 5.25
CACHE_SECONDS = 10.0
MOST_KEPT = 50_000


class TypingState:
    """One user typing in one conversation. Its end is published as its begin was: `large` or not."""

    __slots__ = ("large", "n", "repeat_timer", "timer", "typist", "version")

    def __init__(self, typist: Typist, n: int, version: int, *, large: bool) -> None:
        self.typist = typist
        self.n = n
        self.version = version
        self.large = large
        self.timer: asyncio.TimerHandle | None = None
        self.repeat_timer: asyncio.TimerHandle | None = None


class TypingStates:
    """The typing states of this process's connections, and the typists read of late."""

    def __init__(self) -> None:
        self._states: dict[Key, TypingState] = {}
        self._last_start: dict[Key, float] = {}
        # Starts that still wait for the database; a stop or a message meanwhile removes them (F134).
        self._starting: dict[Key, object] = {}
        self._cached_typists: dict[int, tuple[float, Typist]] = {}
        self._visibility_changes = 0

    def start(
        self, user_id: UserId, conversation_id: ConversationId, device_id: DeviceId = UNKNOWN_DEVICE
    ) -> "asyncio.Future[None] | None":
        """Begin or prolong a typing state; None within a second of the last start. The future raises NotAMember."""
        now, key = asyncio.get_running_loop().time(), (user_id, conversation_id)
        if now - self._last_start.get(key, -10.0) < 1 / settings.LIMITS.typing_per_second:
            return None
        if len(self._last_start) > MOST_KEPT:
            self._last_start.clear()
        self._last_start[key] = now
        token = self._starting[key] = object()
        return asyncio.get_running_loop().create_task(self._start(key, token, device_id))

    async def _start(self, key: Key, token: object, device_id: DeviceId) -> None:
        user_id, conversation_id = key
        try:
            version, members = await hub.current().current_members(conversation_id)
            typist = await self._read_typist(user_id)
            n = await self._member_number(key, version) if user_id in members else None
        finally:
            still_wanted = self._starting.get(key) is token
            if still_wanted:
                del self._starting[key]
        if n is None:
            raise NotAMember
        if not typist.shown or device_id in typist.devices_hiding or not still_wanted:
            return
        loop = asyncio.get_running_loop()
        large = len(members) >= settings.LIMITS.fanout_threshold
        state = self._states.setdefault(key, TypingState(typist, n, version, large=large))
        state.typist, state.n, state.version = typist, n, version
        if state.timer is not None:
            state.timer.cancel()
        state.timer = loop.call_later(settings.LIMITS.typing_expiry, self.stop, user_id, conversation_id)
        if state.repeat_timer is None:
            self._publish_repeatedly(key, state)

    def _publish_repeatedly(self, key: Key, state: TypingState) -> None:
        """Publish that a user types, now and again every REPEAT_SECONDS until the state ends."""
        _publish(key, state, active=True)
        state.repeat_timer = asyncio.get_running_loop().call_later(REPEAT_SECONDS, self._publish_repeatedly, key, state)

    async def _read_typist(self, user_id: UserId) -> Typist:
        now = asyncio.get_running_loop().time()
        until, known = self._cached_typists.get(user_id, (0.0, None))
        if known is None or until < now:
            visibility_changes = self._visibility_changes
            known = await threads.run(read_typist, user_id)
            if len(self._cached_typists) > MOST_KEPT:
                self._cached_typists.clear()
            if visibility_changes == self._visibility_changes:
                self._cached_typists[user_id] = now + CACHE_SECONDS, known
        return known

    async def _member_number(self, key: Key, version: int) -> int | None:
        """Return a member's number, None if not a member. A begin reads it, for the hub's members may be old."""
        state = self._states.get(key)
        return (
            state.n if state is not None and state.version == version else await threads.run(read_member_number, *key)
        )

    def stop(self, user_id: UserId, conversation_id: ConversationId) -> None:
        """End a typing state and publish that at once. Does nothing if there is none."""
        self._starting.pop((user_id, conversation_id), None)
        state = self._states.pop((user_id, conversation_id), None)
        if state is None:
            return
        for timer in (state.timer, state.repeat_timer):
            if timer is not None:
                timer.cancel()
        _publish((user_id, conversation_id), state, active=False)

    def stop_users(self, user_ids: Collection[int]) -> None:
        """End all typing states of users whose last connection is gone."""
        for user, conversation in [key for key in (*self._states, *self._starting) if key[0] in user_ids]:
            self.stop(user, conversation)

    def apply_visibility_change(self, user_ids: Collection[int]) -> None:
        """End all typing states of users whose visibility changed, and read these typists again (F113)."""
        self._visibility_changes += 1
        for user in user_ids:
            self._cached_typists.pop(user, None)
        self.stop_users(set(user_ids))


def _publish(key: Key, state: TypingState, *, active: bool) -> None:
    user_id, conversation_id = key
    if state.large:
        typist = state.typist
        typing_summary.publish_change(
            user_id,
            typing_summary.Change(conversation_id, state.version, typist.display_name, active, typist.hidden_from),
        )
        return
    payload = TypingIndicator(
        chat_id=str(conversation_id), user_id=str(user_id), display_name=state.typist.display_name, active=active
    )
    event = Event(
        conversation_id=conversation_id,
        version=state.version,
        cls=Class.TYPING,
        frame=codec.frame("typing.indicator", payload),
        skip_users=[user_id, *state.typist.hidden_from],
        chat=conversation_id,
        indicators=[Indicator(TYPING | ACTIVE if active else TYPING, user_id, state.n)],
    )
    publish.to_conversation(event)


_typing_states: TypingStates | None = None


def typing_states() -> TypingStates:
    """Return this process's typing states; a web process has one event loop."""
    global _typing_states
    if _typing_states is None:
        _typing_states = TypingStates()
    return _typing_states
