"""Publishing from the other apps: frames for a conversation or for users, notices, and orders to close connections.

All functions may be called from any thread of any process. In a web process the event goes to the hub (local
connections first, then the bus); in any other process it goes to the bus, which all hubs receive.
"""

from gateway.bus import Event, post
from gateway.frames import Class


def to_users(user_ids: list[int], frame: bytes, *, cls: Class, skip_connection: int = 0, opens: int = 0) -> None:
    """Publish an encoded frame to all connections of some users, except one connection.

    `opens` is the conversation that the frame opens for them (`chat.created`), 0 for none.
    """
    event = Event(users=user_ids, cls=cls, frame=frame, skip_connection=skip_connection, chat=opens, opens=bool(opens))
    post(event)


def to_conversation(event: Event) -> None:
    """Publish an event to the members of its conversation, as of the event's `version` and `seq`."""
    post(event)


def notice(name: str, about: list[int], data: bytes = b"") -> None:
    """Publish a change about some users to the listeners of all web processes (`Lookups.notices`)."""
    post(Event(notice=name, about=about, data=data))


def close_device(device_id: int, code: int, reason: str = "") -> None:
    """Close all connections of a device, in all processes, with a close code of protocol 2.6."""
    post(Event(close_device=device_id, code=code, reason=reason))
