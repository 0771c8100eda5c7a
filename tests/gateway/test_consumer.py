"""The consumer with functions of the test: handshakes that fail, and handlers that fail."""

import asyncio
import dataclasses
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from django.db import InterfaceError, OperationalError
from pytest_django import Settings

from gateway import consumer, hub
from gateway.errors import Overloaded
from gateway.frames import Frame, Session
from gateway.hub import Hub, Lookups
from gateway.ids import DeviceId, UserId
from gateway.routes import Route, Wiring
from gateway.shedding import Load

WAIT_SECONDS = 10
_users = itertools.count(10**12)
Message = dict[str, Any]


def nothing(*_: Any) -> Any:
    return None


class Socket:
    """The server's side of one socket: `inbox` is read by the application, `written` is written by it."""

    def __init__(self, application: Any, query: str = "") -> None:
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.written: asyncio.Queue[Message] = asyncio.Queue()
        self.inbox.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "headers": [], "query_string": query.encode(), "subprotocols": []}
        self.task = asyncio.create_task(application(scope, self.inbox.get, self.written.put))

    def say(self, type_: str, id_: str) -> None:
        self.inbox.put_nowait({"type": "websocket.receive", "text": f'{{"type":"{type_}","id":"{id_}"}}'})

    async def hear(self) -> Message:
        """Return the next message of the application: the payload of a frame with its type, or the ASGI message."""
        async with asyncio.timeout(WAIT_SECONDS):
            message = await self.written.get()
        if message["type"] != "websocket.send":
            return message
        frame = msgspec.json.decode(message["text"])
        return {"type": frame["type"], **frame["payload"]}

    async def end(self) -> None:
        self.inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        async with asyncio.timeout(WAIT_SECONDS):
            await self.task


@pytest.fixture(autouse=True)
async def here(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    """A hub that has not joined the bus, as this process's own."""
    made = Hub(Lookups(audience=nothing, between=nothing, since=nothing))
    monkeypatch.setattr(hub, "_hub", made)
    yield made
    await made.stop()


def application(routes: dict[str, Route] | None = None, **doors: Any) -> Any:
    """Return the consumer for one new user; `doors` replace functions of the wiring that do nothing."""
    session = Session(UserId(next(_users)), DeviceId(1), None)
    usual: dict[str, Any] = {
        "authenticate": lambda shown: session, "renew": nothing, "replay": nothing, "epoch": lambda: "e",
        "chats": lambda user: [], "opened": (), "closing": (),
    }  # fmt: skip
    return consumer.application(Wiring(routes=routes or {}, aliases={}, indicators={}, **{**usual, **doors}), Load())


# --- a handshake that cannot be finished ------------------------------------------------------------------------------


def away(*_: Any) -> Any:
    raise OperationalError("away")


def cut_off(*_: Any) -> Any:
    raise InterfaceError("connection already closed")


def overloaded(*_: Any) -> Any:
    raise Overloaded


@pytest.mark.parametrize(
    ("query", "door", "away"),
    [
        ("", "authenticate", away),
        ("", "authenticate", cut_off),
        ("", "authenticate", overloaded),
        ("", "epoch", away),
        ("compact=1", "chats", away),
    ],
)
async def test_handshake_without_database_closes_with_a_reconnect_delay(
    here: Hub, caplog: pytest.LogCaptureFixture, query: str, door: str, away: Callable[..., Any]
) -> None:
    ends: list[bool] = []
    doors: dict[str, Any] = {door: away, "closing": (lambda connection, on_purpose: ends.append(on_purpose),)}
    socket = Socket(application(**doors), query)

    assert (await socket.hear())["type"] == "websocket.accept"
    close = await socket.hear()
    await socket.end()

    assert (close["type"], close["code"]) == ("websocket.close", 4503)
    assert 1 <= int(close["reason"]) <= 10
    assert ends in ([], [False])
    assert here.connections == {}
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("door", ["authenticate", "epoch"])
async def test_handshake_that_takes_too_long_is_closed(settings: Settings, here: Hub, door: str) -> None:
    settings.LIMITS = dataclasses.replace(settings.LIMITS, handshake_timeout=0.05)
    stuck = threading.Event()
    doors: dict[str, Any] = {door: lambda *_: stuck.wait(WAIT_SECONDS)}
    socket = Socket(application(**doors))

    assert (await socket.hear())["type"] == "websocket.accept"
    close = await socket.hear()
    stuck.set()
    await socket.end()

    assert (close["type"], close["code"]) == ("websocket.close", 4410)
    assert here.connections == {}


# --- handlers ---------------------------------------------------------------------------------------------------------


class Nothing(Frame, frozen=True):
    """A payload without fields."""


def lost(result: Any) -> dict[str, Any]:
    raise KeyError("what the ack would say")


async def test_hot_frame_is_answered_even_if_its_reply_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def done(caller: Any, payload: Any) -> "asyncio.Future[str]":
        future = asyncio.get_running_loop().create_future()
        future.set_result("done")
        return future

    def cancelled(caller: Any, payload: Any) -> "asyncio.Future[str]":
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        return future

    routes = {
        "unspeakable": Route(Nothing, done, hot=True, reply=lost),
        "cancelled": Route(Nothing, cancelled, hot=True),
        "good": Route(Nothing, done, hot=True, reply=lambda result: {"result": result}),
    }
    socket = Socket(application(routes))
    assert [(await socket.hear())["type"] for _ in range(2)] == ["websocket.accept", "hello"]
    for type_ in routes:
        socket.say(type_, type_)
    answers = [await socket.hear() for _ in routes]
    await socket.end()

    assert [(a["refId"], a["status"], a.get("error", {}).get("code")) for a in answers] == [
        ("unspeakable", "error", "INTERNAL"),
        ("cancelled", "error", "INTERNAL"),
        ("good", "ok", None),
    ]
    assert len([record for record in caplog.records if record.exc_info]) == 2


async def test_hooks_of_several_apps_are_called_in_order() -> None:
    called: list[str] = []

    def hook(name: str) -> Callable[..., None]:
        return lambda *_: called.append(name)

    routes = {"ping.hot": Route(Nothing, hook("handler"), hot=True, before=(hook("before 1"), hook("before 2")))}
    doors = {name: (hook(f"{name} 1"), hook(f"{name} 2")) for name in ("opened", "closing")}
    socket = Socket(application(routes, **doors))
    assert [(await socket.hear())["type"] for _ in range(2)] == ["websocket.accept", "hello"]
    socket.say("ping.hot", "1")
    assert (await socket.hear())["status"] == "ok"
    await socket.end()

    assert called == ["opened 1", "opened 2", "before 1", "before 2", "handler", "closing 1", "closing 2"]


async def test_unserializable_result_is_answered_as_internal_error() -> None:
    routes = {"odd": Route(Nothing, lambda caller, payload: {"result": object()})}
    socket = Socket(application(routes))
    assert [(await socket.hear())["type"] for _ in range(2)] == ["websocket.accept", "hello"]
    socket.say("odd", "1")
    assert (await socket.hear())["error"]["code"] == "INTERNAL"
    await socket.end()
