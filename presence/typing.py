"""Who is typing: in this process's memory, told to the other members, ended by time, by a stop or by the message itself.

Rules: at most one start a second counts (F132); a state ends 5 s after its last start (F131); while it lasts the others
are told again, by the clock, once in 5 s at most (K3); never stored, first to be dropped (F136, F139). In conversations of 50 members and
more the others are told by `crowd`.
"""

import asyncio
from collections.abc import Collection

from django.conf import settings

from chat.refusals import NotAMember
from gateway import codec, hub, publish, threads
from gateway.bus import Event
from gateway.frames import Class
from gateway.indicators import ACTIVE, TYPING, Indicator
from presence import typing_summary
from presence.frames import TypingIndicator
from presence.queries import Typist, read_member_number, read_typist

Key = tuple[int, int]  # user, conversation
# Later than a state without another start ends, and sooner than a client gives up an indicator without news (6 s, K3).
REPEAT_SECONDS = 5.25
CACHE_SECONDS = 10.0
MOST_KEPT = 50_000


class TypingState:
    """One person typing in one conversation; as `large` as the conversation was when that began, so is it told to its end."""

    __slots__ = ("large", "n", "repeat_timer", "timer", "typist", "version")

    def __init__(self, typist: Typist, n: int, version: int, *, large: bool) -> None:
        self.typist = typist
        self.n = n
        self.version = version
        self.large = large
        self.timer: asyncio.TimerHandle | None = None
        self.repeat_timer: asyncio.TimerHandle | None = None


class TypingStates:
    """All who type on this process's connections."""

    def __init__(self) -> None:
        self._states: dict[Key, TypingState] = {}
        self._last_start: dict[Key, float] = {}
        # Starts that are still looked up; a stop or a message meanwhile takes them out (F134).
        self._starting: dict[Key, object] = {}
        self._cached_typists: dict[int, tuple[float, Typist]] = {}
        self._visibility_changes = 0

    def start(self, user_id: int, conversation_id: int, device_id: int = 0) -> "asyncio.Future[None] | None":
        """Take a start; one too many is dropped in silence. The future raises NotAMember in a chat not the user's."""
        now, key = asyncio.get_running_loop().time(), (user_id, conversation_id)
        if now - self._last_start.get(key, -10.0) < 1 / settings.LIMITS.typing_per_second:
            return None
        if len(self._last_start) > MOST_KEPT:
            self._last_start.clear()
        self._last_start[key] = now
        token = self._starting[key] = object()
        return asyncio.get_running_loop().create_task(self._start(key, token, device_id))

    async def _start(self, key: Key, token: object, device_id: int) -> None:
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
        """Tell the others that somebody types, again and again until that ends."""
        _publish(key, state, active=True)
        state.repeat_timer = asyncio.get_running_loop().call_later(REPEAT_SECONDS, self._publish_repeatedly, key, state)

    async def _read_typist(self, user_id: int) -> Typist:
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
        """Return a member's number, None for one who is none: asked when typing begins, for a hub may know old members."""
        state = self._states.get(key)
        return (
            state.n if state is not None and state.version == version else await threads.run(read_member_number, *key)
        )

    def stop(self, user_id: int, conversation_id: int) -> None:
        """End a typing state, told at once; without one, nothing."""
        self._starting.pop((user_id, conversation_id), None)
        state = self._states.pop((user_id, conversation_id), None)
        if state is None:
            return
        for timer in (state.timer, state.repeat_timer):
            if timer is not None:
                timer.cancel()
        _publish((user_id, conversation_id), state, active=False)

    def stop_users(self, user_ids: Collection[int]) -> None:
        """End all that some users type: their last connection is gone."""
        for user, conversation in [key for key in (*self._states, *self._starting) if key[0] in user_ids]:
            self.stop(user, conversation)

    def apply_visibility_change(self, user_ids: Collection[int]) -> None:
        """What others may see of some users is not what it was: end all that they type, and ask again (F113)."""
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
    """Return this process's typists; all of a web process is one event loop."""
    global _typing_states
    if _typing_states is None:
        _typing_states = TypingStates()
    return _typing_states
