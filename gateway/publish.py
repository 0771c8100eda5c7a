"""How the rest of the house reaches connections: frames for a conversation or a user, and orders to close.

Callable from any process and any thread. In a web process the hub takes it (local connections first, then the bus); in
every other process it goes straight to the bus, on which every hub listens.
"""

from gateway.bus import Event, post
from gateway.frames import Class


def to_users(user_ids: list[int], frame: bytes, *, cls: Class, skip_connection: int = 0, opens: int = 0) -> None:
    """Queue an encoded frame for every connection of these users, but for one connection.

    `opens` names the conversation that the frame brings to them (`chat.created`).
    """
    event = Event(users=user_ids, cls=cls, frame=frame, skip_connection=skip_connection, chat=opens, opens=bool(opens))
    post(event)


def to_conversation(event: Event) -> None:
    """Queue an encoded frame for the members of a conversation: `event.conversation_id`, `version` and `seq` say who."""
    post(event)


def notice(name: str, about: list[int], data: bytes = b"") -> None:
    """Tell the rules of every web process, this one included, what has changed about some users (`Lookups.notices`)."""
    post(Event(notice=name, about=about, data=data))


def close_device(device_id: int, code: int, reason: str = "") -> None:
    """Close every connection of a device, in every process, with a close code of protocol 2.6."""
    post(Event(close_device=device_id, code=code, reason=reason))
