"""Typing in large conversations: each process gathers who types, and tells its readers once a second at most (F138).

500 people who type among 1,000 would be a thousand frames a second for each reader, one by one. So a change goes to the
processes as the notice `typing`, and what a reader gets is how it stands: some names, and how many there are.
"""

import asyncio
from collections.abc import Collection, Iterable

import msgspec
from django.conf import settings

from gateway import codec, hub, publish, websocket
from gateway.bus import Event
from gateway.frames import Class
from gateway.outbound import Outgoing
from presence.frames import SomeTypist, TypingCrowd

TYPES = "typing"
NAMED = 3
# A client gives up an indicator after 6 s without news (K3).
TOLD_AGAIN_SECONDS = 4.5


class Change(msgspec.Struct, array_like=True):
    """Somebody begins, goes on or ends typing in a large conversation; `unseen_by` must not learn of it."""

    conversation_id: int
    version: int
    display_name: str
    active: bool
    unseen_by: list[int]


class Typist(msgspec.Struct):
    """Who types; `until` is when this process stops believing it, should the end be lost (monotonic seconds)."""

    display_name: str
    unseen_by: list[int]
    until: float


Sight = tuple[tuple[int, ...], int]  # who is named, how many type
NOTHING: Sight = ((), 0)
_decode = msgspec.msgpack.Decoder(Change).decode


class Crowd:
    """The typists of one conversation, in the order in which they began, and what each reader was told of them."""

    __slots__ = ("telling", "timer", "told", "told_at", "typists", "version")

    def __init__(self) -> None:
        self.version = 0
        self.typists: dict[int, Typist] = {}
        self.told: dict[int, Sight] = {}
        self.told_at = float("-inf")
        self.timer: asyncio.TimerHandle | None = None
        self.telling = False

    def hidden(self) -> dict[int, set[int]]:
        """Return which typists a reader is not told of: oneself, and by blocks."""
        found: dict[int, set[int]] = {}
        for user, typist in self.typists.items():
            for reader in (user, *typist.unseen_by):
                found.setdefault(reader, set()).add(user)
        return found

    def sight(self, hidden: Iterable[int] = ()) -> Sight:
        """Return what a reader sees who must not see some typists."""
        without = set(hidden)
        named = []
        for user in self.typists:
            if user not in without:
                named.append(user)
            if len(named) == NAMED:
                break
        return tuple(named), len(self.typists) - len(without)


class Crowds:
    """All large conversations in which somebody types, as this process's readers are told of them."""

    def __init__(self) -> None:
        self._crowds: dict[int, Crowd] = {}

    def heard(self, event: Event) -> None:
        """Take a change, of this process or another."""
        change = _decode(event.data)
        (user,) = event.about
        if not hub.current().users:
            return
        crowd = self._crowds.setdefault(change.conversation_id, Crowd())
        crowd.version = max(crowd.version, change.version)
        loop = asyncio.get_running_loop()
        if change.active:
            until = loop.time() + 2 * settings.LIMITS.typing_expiry
            crowd.typists[user] = Typist(change.display_name, change.unseen_by, until)
        else:
            crowd.typists.pop(user, None)
        self._tell_at(change.conversation_id, crowd, crowd.told_at + settings.LIMITS.typing_batch)

    def _tell_at(self, conversation_id: int, crowd: Crowd, due: float) -> None:
        """Have the readers told at a time of the loop, or sooner if that is planned already."""
        loop = asyncio.get_running_loop()
        if crowd.timer is not None:
            if crowd.timer.when() <= due:
                return
            crowd.timer.cancel()
        crowd.timer = loop.call_at(max(due, loop.time()), self._begin, conversation_id, crowd)

    def _begin(self, conversation_id: int, crowd: Crowd) -> None:
        crowd.timer = None
        if not crowd.telling:
            crowd.telling = True
            hub.current().spawn(self._tell(conversation_id, crowd))

    async def _tell(self, conversation_id: int, crowd: Crowd) -> None:
        """Tell each reader here what is not as the reader was told; all of it again while it lasts, for newcomers."""
        _, members = await hub.current().current_members(conversation_id, crowd.version)
        loop = asyncio.get_running_loop()
        now = loop.time()
        crowd.typists = {user: typist for user, typist in crowd.typists.items() if typist.until > now}
        again = now - crowd.told_at >= TOLD_AGAIN_SECONDS
        crowd.told_at, crowd.telling = now, False
        self._send(conversation_id, crowd, members, again=again)
        if crowd.typists:
            self._tell_at(conversation_id, crowd, now + TOLD_AGAIN_SECONDS)
        elif not crowd.told and crowd.timer is None:
            self._crowds.pop(conversation_id, None)

    def _send(self, conversation_id: int, crowd: Crowd, members: Collection[int], *, again: bool) -> None:
        frames: dict[Sight, Outgoing] = {}
        hidden, plain, before = crowd.hidden(), crowd.sight(), crowd.told
        crowd.told = {}
        users = hub.current().users
        readers = (
            [u for u in users if u in members] if len(users) < len(members) else [u for u in members if u in users]
        )
        for reader in readers:
            sight = crowd.sight(hidden[reader]) if reader in hidden else plain
            if sight != NOTHING:
                crowd.told[reader] = sight
            if sight == before.get(reader, NOTHING) and not (again and sight != NOTHING):
                continue
            if sight not in frames:
                frames[sight] = websocket.message(_frame(conversation_id, crowd, sight))
            for connection in tuple(users.get(reader, ())):
                connection.offer(frames[sight], Class.TYPING)


def _frame(conversation_id: int, crowd: Crowd, sight: Sight) -> bytes:
    named, count = sight
    typists = [SomeTypist(user_id=str(user), display_name=crowd.typists[user].display_name) for user in named]
    return codec.frame("typing.indicator", TypingCrowd(chat_id=str(conversation_id), typists=typists, count=count))


def tell(user_id: int, change: Change) -> None:
    """Tell all processes of a change."""
    publish.notice(TYPES, [user_id], msgspec.msgpack.encode(change))


_crowds: Crowds | None = None


def crowds() -> Crowds:
    """Return this process's crowds; all of a web process is one event loop."""
    global _crowds
    if _crowds is None:
        _crowds = Crowds()
    return _crowds
