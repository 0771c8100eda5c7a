"""A REST client for tests, on a real connection: what it sends is exactly what was given, well formed or not."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any, NamedTuple
from uuid import uuid4

from tests.factories import Someone
from tests.servers import Server

WAIT_SECONDS = 20
PROBLEM = "application/problem+json"


class Reply(NamedTuple):
    """An answer; `body` is its JSON, None where there is none."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        """Return the code of a problem document, "" for an answer that is none."""
        return str(self.body["code"]) if self.headers.get("content-type") == PROBLEM else ""

    @property
    def fields(self) -> list[str]:
        """Return the fields that a problem document complains about."""
        return sorted(self.body.get("errors", {}))


class Api:
    """Requests of one person, by bearer token; of nobody without one."""

    def __init__(self, server: Server, person: Someone | None = None, headers: Mapping[str, str] = {}) -> None:
        self._server = server
        self._headers = {"Authorization": f"Bearer {person.access}"} if person else {}
        self._headers |= headers

    def __call__(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Reply:
        """Send a request to a path below /api/v1/ (or to one that begins with a slash) and return the answer."""
        sent = {**self._headers, **headers}
        if raw is None and body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent = {"Content-Type": "application/json", **sent}
        connection = HTTPConnection("127.0.0.1", self._server.port, timeout=WAIT_SECONDS)
        try:
            connection.request(method, path if path.startswith("/") else f"/api/v1/{path}", raw, sent)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in answer.getheaders()}
        is_json = "json" in found.get("content-type", "")
        return Reply(answer.status, found, json.loads(text) if text and is_json else None)

    def get(self, path: str) -> Reply:
        return self("GET", path)

    def post(self, path: str, body: Any = None, **headers: str) -> Reply:
        return self("POST", path, body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def say(self, chat: int, content: str = "hello", **more: Any) -> Reply:
        """Send a message."""
        return self.post(f"conversations/{chat}/messages", {"content": content, "clientId": str(uuid4()), **more})
