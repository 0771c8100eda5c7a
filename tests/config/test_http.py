"""Django's handler before Django: what is answered without a thread, and bodies that are refused before they are read."""

import asyncio
import json
from typing import Any

import pytest

from config import http
from config.http import SingleThreadHandler
from tests.clients import until

Message = dict[str, Any]
UPLOAD = "/api/v1/attachments"


class Exchange:
    """A request to the handler: the parts of its body, and what was answered. `asked` counts the parts that were read."""

    def __init__(self, method: str, path: str, parts: list[Message], headers: dict[str, str]) -> None:
        self.parts, self.asked, self.sent = parts, 0, list[Message]()
        names = [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()]
        self.scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": names, "http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        }  # fmt: skip

    async def receive(self) -> Message:
        self.asked += 1
        if not self.parts:
            await asyncio.Event().wait()
        return self.parts.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def body(self) -> Any:
        return json.loads(b"".join(message.get("body", b"") for message in self.sent[1:]))


async def ask(method: str, path: str, *parts: bytes, more: bool = False, **headers: str) -> Exchange:
    """Send a request whose body stays open if `more`, and wait for its answer."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts or (b"",)]
    messages[-1]["more_body"] = more
    exchange = Exchange(method, path, messages, headers)
    async with asyncio.timeout(10):
        await SingleThreadHandler()(exchange.scope, exchange.receive, exchange.send)
    return exchange


async def test_liveness_is_answered_without_a_thread_and_without_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.threads.run_request", None)
    answered = await ask("GET", "/healthz")
    assert (answered.status, answered.body, answered.asked) == (200, {"status": "ok"}, 0)
    assert (await ask("HEAD", "/healthz")).sent[1]["body"] == b""


@pytest.mark.parametrize("path", [UPLOAD, f"{UPLOAD}/1/content"])
async def test_upload_without_credentials_is_refused_before_its_body_is_read(path: str) -> None:
    answered = await ask("POST", path, b"x" * 1000, more=True)
    assert (answered.status, answered.body["code"], answered.asked) == (401, "UNAUTHORIZED", 0)


async def test_body_that_comes_too_slowly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_SECONDS", 0.05)
    answered = await ask("POST", UPLOAD, b"x", more=True, authorization="Bearer x")
    assert (answered.status, answered.body["code"]) == (408, "BAD_FRAME")


async def test_too_many_open_bodies_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_OPEN_BODIES", 2)
    waiting = [
        Exchange("POST", UPLOAD, [{"type": "http.request", "body": b"x", "more_body": True}], {"authorization": "x"})
        for _ in range(2)
    ]
    running = [asyncio.create_task(SingleThreadHandler()(each.scope, each.receive, each.send)) for each in waiting]
    await until(lambda: all(each.asked == 2 for each in waiting))
    answered = await ask("POST", UPLOAD, b"x", authorization="Bearer x")
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert (answered.status, answered.body["code"]) == (503, "OVERLOADED")
    assert http._open_bodies == 0


async def test_body_above_the_limit_of_its_path_is_refused_at_its_end() -> None:
    answered = await ask("POST", "/api/v1/sync", b"x" * 2**20, b"y", authorization="Bearer x")
    assert (answered.status, answered.body["code"]) == (413, "FRAME_TOO_LARGE")
