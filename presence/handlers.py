"""Typing and presence in: frames, the beginning and end of connections, and what other processes give notice of."""

import asyncio
from collections.abc import Callable
from typing import Any

from accounts.ids import from_wire
from accounts.privacy import SWITCHED
from chat.events import SENDING
from chat.frames import Send
from gateway import hub, threads
from gateway.bus import Event
from gateway.connection import Connection
from gateway.frames import Caller
from presence import states
from presence.connections import CHANGED, LOST, ROUND_SECONDS, reporter
from presence.frames import PresenceUpdate, PresenceWatch, Typing
from presence.subscriptions import subscriptions
from presence.typing import typing_states
from presence.typing_summary import NOTICE as TYPING_NOTICE
from presence.typing_summary import summaries


def start_typing(caller: Caller, frame: Typing) -> "asyncio.Future[None] | None":
    """`typing.start` (hot)."""
    return typing_states().start(caller.user_id, from_wire(frame.chat_id), caller.device_id)


def stop_typing(caller: Caller, frame: Typing) -> None:
    """`typing.stop` (hot)."""
    typing_states().stop(caller.user_id, from_wire(frame.chat_id))


def end_typing(caller: Caller, frame: Send) -> None:
    """Ahead of `message.send`: whoever sends has stopped typing, and the others learn that first (F134)."""
    typing_states().stop(caller.user_id, from_wire(frame.chat_id))


def set_status(caller: Caller, frame: PresenceUpdate) -> "asyncio.Future[None]":
    """`presence.update` (hot): acked when it is taken; it may take effect later (F287)."""
    return asyncio.get_running_loop().create_task(reporter().choose_status(caller.connection_id, frame.status))


def subscribe(caller: Caller, frame: PresenceWatch) -> "asyncio.Future[dict[str, Any]] | None":
    """`presence.subscribe` (hot): the ack carries the current states."""
    connection = hub.current().connections.get(caller.connection_id)
    users = list(dict.fromkeys(from_wire(id_) for id_ in frame.user_ids))
    if connection is None:
        return None
    subscriptions().subscribe(connection, users)
    return asyncio.get_running_loop().create_task(_states(connection, users))


async def _states(connection: Connection, users: list[int]) -> dict[str, Any]:
    """Read the states for an ack; what the connection was told while they were read is newer."""
    before = subscriptions().last_sent(connection)
    pairs = [(connection.session.user_id, user) for user in users]
    found = await threads.run(states.read_states, pairs)
    since = {
        user: state for user, state in subscriptions().last_sent(connection).items() if state is not before.get(user)
    }
    told = {user: since.get(user, state) for (_, user), state in found.items()}
    subscriptions().note_sent(connection, told)
    return {"presence": [states.state_frame(user, told[user]) for user in users]}


def unsubscribe(caller: Caller, frame: PresenceWatch) -> None:
    """`presence.unsubscribe` (hot)."""
    connection = hub.current().connections.get(caller.connection_id)
    if connection is not None:
        subscriptions().unsubscribe(connection, [from_wire(id_) for id_ in frame.user_ids])


def begin_presence(connection: Connection) -> None:
    """A connection has been greeted: it is here, and a resumed one watches whom it watched."""
    reporter().report_opened(connection)
    if connection.watching:
        subscriptions().restore(connection)


def end_presence(connection: Connection, on_purpose: bool) -> None:
    """A connection is gone; with a user's last one here, the typing ends."""
    subscriptions().forget(connection)
    reporter().report_closed(connection, on_purpose=on_purpose)
    if connection.session.user_id not in hub.current().users:
        typing_states().stop_users([connection.session.user_id])


async def run_rounds() -> None:
    """Look after this process's connections and subscriptions once a second, for ever."""
    while True:
        await asyncio.sleep(ROUND_SECONDS)
        await reporter().run_round()
        subscriptions().follow_redis(failed_at=reporter().redis_failed_at, answered_at=reporter().redis_answered_at)
        subscriptions().drop_expired()


def schedule_changes(event: Event) -> None:
    """The presence of some users is not what it was."""
    subscriptions().schedule(event.about)


def apply_visibility_change(event: Event) -> None:
    """What may be known of some users, or they of others, is not what it was: in force at once (F113, F207)."""
    theirs = (connection for user in event.about for connection in hub.current().users.get(user, ()))
    subscriptions().schedule({*event.about, *(user for one in theirs for user in one.watching)}, at_once=True)
    typing_states().apply_visibility_change(event.about)


def apply_typing_change(event: Event) -> None:
    """Somebody types in a large conversation, or has ended."""
    summaries().apply(event)


def end_typing_over_rest(event: Event) -> None:
    """Somebody sends over REST: wherever they were typing there, they have stopped (F134)."""
    for user in event.about:
        typing_states().stop(user, int(event.data))


def refresh_all(event: Event) -> None:
    """Notices may have been missed: look at everybody again."""
    subscriptions().schedule(subscriptions().subscribed_users())


NOTICES: dict[str, Callable[[Event], None]] = {
    CHANGED: schedule_changes,
    SWITCHED: apply_visibility_change,
    TYPING_NOTICE: apply_typing_change,
    SENDING: end_typing_over_rest,
    LOST: refresh_all,
}
