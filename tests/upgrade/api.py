"""A signed-in device as both builds meet it: REST, and frames over the socket."""

import json
import uuid
from collections.abc import Iterable
from http.client import HTTPConnection
from typing import Any, NamedTuple

from websockets.sync.client import connect

BASE = "/api/v1"
WINDOW = 50
UNANSWERED = ("message.delivered", "read.mark")  # end a batch of these with a `ping`


class Answer(NamedTuple):
    """Status and body of a response: JSON decoded, anything else as bytes with its type."""

    status: int
    body: Any
    content_type: str = ""


class Api:
    """One device, or nobody without a token; each request has a connection of its own."""

    def __init__(self, port: int, token: str = "") -> None:
        self.port, self.token = port, token

    def ask(self, verb: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request and return its answer; a body that is no bytes goes as JSON."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None and not isinstance(body, bytes):
            body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(verb, path, body, {"Host": "localhost", **headers})
            response = connection.getresponse()
            content, kind = response.read(), response.getheader("Content-Type", "")
        finally:
            connection.close()
        return Answer(response.status, json.loads(content) if "json" in kind else content, kind)

    def call(self, verb: str, path: str, body: Any = None, **headers: str) -> Any:
        """`ask` below /api/v1, and return the body. Raises AssertionError with the answer where it is refused."""
        answer = self.ask(verb, BASE + path, body, **headers)
        assert answer.status < 400, f"{verb} {path}: {answer}"
        return answer.body

    def send(self, frames: Iterable[tuple[str, Any]]) -> list[Any]:
        """Send frames over a socket, each acked, and return their acks' payloads in order."""
        url, bearer = f"ws://127.0.0.1:{self.port}/ws/v1", {"Authorization": f"Bearer {self.token}"}
        named = [(str(uuid.uuid4()), type_, payload) for type_, payload in frames]
        acks: dict[str, Any] = {id_: {} for id_, type_, _ in named if type_ in UNANSWERED}
        with connect(url, additional_headers=bearer, compression=None, max_size=None, max_queue=None) as link:
            for start in range(0, len(named), WINDOW):
                part = named[start : start + WINDOW]
                for id_, type_, payload in part:
                    link.send(json.dumps({"type": type_, "id": id_, "payload": payload}))
                while not all(id_ in acks for id_, _, _ in part):
                    frame = json.loads(link.recv(30))
                    if frame["type"] in ("ack", "pong", "error"):
                        acks[frame["payload"].get("refId") or part[-1][0]] = frame["payload"]
        for (_, type_, payload), ack in zip(named, (acks[id_] for id_, _, _ in named), strict=True):
            assert ack.get("status", "ok") == "ok" and "code" not in ack, f"{type_} {payload}: {ack}"
        return [acks[id_] for id_, _, _ in named]
