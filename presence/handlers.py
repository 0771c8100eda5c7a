"""The edges of typing and presence: frames, hooks of connections, and listeners to notices of other processes."""

import asyncio
from collections.abc import Callable
from typing import Any

from accounts.ids import from_wire
from accounts.privacy import PRIVACY_CHANGED
from chat.events import SENDING
from chat.frames import Send
from gateway import hub, threads
from gateway.bus import Event
from gateway.connection import Connection
from gateway.frames import Caller
from gateway.ids import ConversationId, UserId
from presence import states
from presence.connections import CHANGED, LOST, ROUND_SECONDS, reporter
from presence.frames import PresenceUpdate, PresenceWatch, Typing
from presence.subscriptions import subscriptions
from presence.typing import typing_states
from presence.typing_summary import NOTICE as TYPING_NOTICE
from presence.typing_summary import summaries


def start_typing(caller: Caller, frame: Typing) -> "asyncio.Future[None] | None":
    """`typing.start` (hot)."""
    return typing_states().start(caller.user_id, from_wire(frame.chat_id, ConversationId), caller.device_id)


def stop_typing(caller: Caller, frame: Typing) -> None:
    """`typing.stop` (hot)."""
    typing_states().stop(caller.user_id, from_wire(frame.chat_id, ConversationId))


def end_typing(caller: Caller, frame: Send) -> None:
    """Before `message.send`: end the sender's typing, so that the others learn that first (F134)."""
    typing_states().stop(caller.user_id, from_wire(frame.chat_id, ConversationId))


def set_status(caller: Caller, frame: PresenceUpdate) -> "asyncio.Future[None]":
    """`presence.update` (hot): acked at once, though it may take effect later (F287)."""
    return asyncio.get_running_loop().create_task(reporter().choose_status(caller.connection_id, frame.status))


def subscribe(caller: Caller, frame: PresenceWatch) -> "asyncio.Future[dict[str, Any]] | None":
    """`presence.subscribe` (hot): the ack carries the current states."""
    connection = hub.current().connections.get(caller.connection_id)
    users = list(dict.fromkeys(from_wire(id_, UserId) for id_ in frame.user_ids))
    if connection is None:
        return None
    subscriptions().subscribe(connection, users)
    return asyncio.get_running_loop().create_task(_states(connection, users))


async def _states(connection: Connection, users: list[UserId]) -> dict[str, Any]:
    """Read the states for an ack. A state sent to the connection meanwhile is newer and wins."""
    before = subscriptions().last_sent(connection)
    pairs = [(connection.session.user_id, user) for user in users]
    read = await threads.run(states.read_states, pairs)
    after = subscriptions().last_sent(connection)
    newer = {user: state for user, state in after.items() if state is not before.get(user)}
    current = {user: newer.get(user, state) for (_, user), state in read.items()}
    subscriptions().note_sent(connection, current)
    return {"presence": [states.state_frame(user, current[user]) for user in users]}


def unsubscribe(caller: Caller, frame: PresenceWatch) -> None:
    """`presence.unsubscribe` (hot)."""
    connection = hub.current().connections.get(caller.connection_id)
    if connection is not None:
        subscriptions().unsubscribe(connection, [from_wire(id_, UserId) for id_ in frame.user_ids])


def begin_presence(connection: Connection) -> None:
    """After `hello`: report the connection, and restore the subscriptions of a resumed one."""
    reporter().report_opened(connection)
    if connection.watching:
        subscriptions().restore(connection)


def end_presence(connection: Connection, on_purpose: bool) -> None:
    """At the end of a connection: report it; with the user's last connection in this process, typing ends."""
    subscriptions().forget(connection)
    reporter().report_closed(connection, on_purpose=on_purpose)
    if connection.session.user_id not in hub.current().users:
        typing_states().stop_users([connection.session.user_id])


async def run_rounds() -> None:
    """Run the rounds over this process's connections and subscriptions, once a second, for ever."""
    while True:
        await asyncio.sleep(ROUND_SECONDS)
        await reporter().run_round()
        subscriptions().follow_redis(failed_at=reporter().redis_failed_at, answered_at=reporter().redis_answered_at)
        subscriptions().drop_expired()


def schedule_changes(event: Event) -> None:
    """Notice `presence`: send the states of the changed users to their subscribers."""
    subscriptions().schedule(event.about)


def apply_visibility_change(event: Event) -> None:
    """Notice `privacy`: the visibility of users, or what they may see, has changed; apply it at once (F113, F207)."""
    connections = (connection for user in event.about for connection in hub.current().users.get(user, ()))
    watched = (user for connection in connections for user in connection.watching)
    subscriptions().schedule({*event.about, *watched}, at_once=True)
    typing_states().apply_visibility_change(event.about)


def apply_typing_change(event: Event) -> None:
    """Notice `typing`: a user begins, prolongs or ends typing in a large conversation."""
    summaries().apply(event)


def end_typing_over_rest(event: Event) -> None:
    """Notice `sending`: a user sends over REST; end the user's typing in that conversation (F134)."""
    for user in event.about:
        typing_states().stop(UserId(user), ConversationId(int(event.data)))


def refresh_all(event: Event) -> None:
    """Notice `lost`: notices may have been missed; send the states of all subscribed users."""
    subscriptions().schedule(subscriptions().subscribed_users())


NOTICES: dict[str, Callable[[Event], None]] = {
    CHANGED: schedule_changes,
    PRIVACY_CHANGED: apply_visibility_change,
    TYPING_NOTICE: apply_typing_change,
    SENDING: end_typing_over_rest,
    LOST: refresh_all,
}
