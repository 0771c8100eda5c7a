"""What config tells the consumer: which handler takes which frame, and whom to ask who somebody is."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from gateway.connection import Connection
from gateway.frames import Caller, Frame, Session

Handler = Callable[[Caller, Any], Any]
# W3C Trace Context 3.2.2: ids of zeros alone say that there is no trace.
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch


class Route(NamedTuple):
    """One row of `config/frames.py`.

    A `hot` handler runs on the event loop and returns at once: None, or a future of its result. Any other is a plain
    function on the handler threads. `acked` frames are answered by an `ack`, with the handler's result in it.
    """

    frame: type[Frame]
    handle: Handler
    hot: bool = False
    acked: bool = True
    automatic: bool = False  # a client sends it by itself: it is no sign of a person
    reply: Callable[[Any], dict[str, Any]] | None = None  # makes the ack's fields of the handler's result
    before: Callable[[Caller, Any], None] | None = None  # a hot look-in of another app, ahead of the handler


class Answer(NamedTuple):
    """A handler's result that comes with a frame of its own, sent before the ack."""

    frame: bytes
    result: dict[str, Any]


class Handshake(NamedTuple):
    """What a socket shows of itself: lower-case header names, the query's and the cookies' values."""

    headers: Mapping[bytes, bytes]
    query: Mapping[str, str]
    cookies: Mapping[str, str]


class Indicated(NamedTuple):
    """The text frame that an indicator in bytes stands for: its type, and its payload made of a chat and a seq."""

    type: str
    frame: Callable[[str, int], Frame]


class Wiring(NamedTuple):
    """The doors of the house that the consumer may knock at; plain functions for the handler threads."""

    routes: Mapping[str, Route]
    aliases: Mapping[str, str]
    authenticate: Callable[[Handshake], Session]
    renew: Callable[[Session, str], Session]
    # The frames that a user's device has missed since a moment; None: too many.
    replay: Callable[[int, int, datetime], list[bytes] | None]
    epoch: Callable[[], str]
    indicators: Mapping[int, Indicated]  # by the state's flags (protocol 2.5)
    chats: Callable[[int], list[int]]  # a user's conversations, the liveliest first
    opened: Callable[[Connection], None]  # after its hello
    closing: Callable[[Connection, bool], None]  # true: it was closed on purpose, and not lost


class Compiled(NamedTuple):
    """A route with its decoder."""

    route: Route
    decoder: "msgspec.json.Decoder[Any]"


def compile_routes(wiring: Wiring) -> dict[str, Compiled]:
    """Return the table by wire name, aliases included."""
    table = {name: Compiled(route, msgspec.json.Decoder(route.frame)) for name, route in wiring.routes.items()}
    return table | {alias: table[name] for alias, name in wiring.aliases.items()}
