"""The tables that config passes to the consumer: the handler of each frame, and functions of other apps."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from gateway.connection import Connection
from gateway.frames import Caller, Frame, Session, Viewer
from gateway.ids import UserId

Handler = Callable[[Caller, Any], Any]
# W3C Trace Context 3.2.2: an id of zeros is invalid.
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch


class Route(NamedTuple):
    """One row of `config/frames.py`.

    A `hot` handler runs on the event loop and returns at once: None, or a future of its result. Any other handler is a
    plain function on the handler threads. An `acked` frame is answered by an `ack` with the handler's result in it.
    """

    frame: type[Frame]
    handle: Handler
    hot: bool = False
    acked: bool = True
    automatic: bool = False  # sent without a user's action: it does not count as activity
    reply: Callable[[Any], dict[str, Any]] | None = None  # makes the fields of the ack from the result
    cost: int = 1  # how many ordinary frames it counts for in the connection's rate
    before: tuple[Callable[[Caller, Any], None], ...] = ()  # hooks of other apps, called in order before a hot handler


class Answer(NamedTuple):
    """A handler's result with a frame that is sent before the ack."""

    frame: bytes
    result: dict[str, Any]


class Handshake(NamedTuple):
    """The request that opened a socket: headers by lower-case name, query values, cookies."""

    headers: Mapping[bytes, bytes]
    query: Mapping[str, str]
    cookies: Mapping[str, str]


class IndicatorRoute(NamedTuple):
    """The text frame that an indicator in bytes stands for: its type, and its payload made of a chat and a seq."""

    type: str
    frame: Callable[[str, int], Frame]


class Wiring(NamedTuple):
    """Functions of other apps that the consumer calls: on the handler threads, but the hooks on the event loop.

    Hooks are tuples, called in order, so that several apps may have one.
    """

    routes: Mapping[str, Route]
    aliases: Mapping[str, str]
    authenticate: Callable[[Handshake], Session]
    renew: Callable[[Session, str], Session]
    # The frames that a viewer missed since a time; None if there are too many.
    replay: Callable[[Viewer, datetime], list[bytes] | None]
    epoch: Callable[[], str]
    indicators: Mapping[int, IndicatorRoute]  # by the state's flags (protocol 2.5)
    chats: Callable[[UserId], list[int]]  # a user's conversations, the most active first
    opened: tuple[Callable[[Connection], None], ...]  # hooks, after hello
    closing: tuple[Callable[[Connection, bool], None], ...]  # hooks; True if closed on purpose, False if lost


class Compiled(NamedTuple):
    """A route with its decoder."""

    route: Route
    decoder: "msgspec.json.Decoder[Any]"


def compile_routes(wiring: Wiring) -> dict[str, Compiled]:
    """Return the routes by wire name, aliases included."""
    table = {name: Compiled(route, msgspec.json.Decoder(route.frame)) for name, route in wiring.routes.items()}
    return table | {alias: table[name] for alias, name in wiring.aliases.items()}
