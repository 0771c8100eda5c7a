"""How Django answers HTTP in a web process: one thread a request, and no body beyond its bound."""

from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from gateway import codec, threads
from gateway.errors import FrameTooLarge
from gateway.http import HEADERS, MEDIA_TYPE, document

UPLOADS = "/api/v1/attachments"
# What multipart adds to a file.
ENVELOPE_BYTES = 64 * 1024


class BodyTooLarge(Exception):
    """More has come than the address takes."""


class SingleThreadHandler(ASGIHandler):
    """Django's ASGI handler with its middleware and view on one thread from beginning to end.

    All of ours is plain code. As Django comes, each middleware would go to a thread and back for itself: 37 % of a
    request was spent waiting for these hand-overs. Django reads a body into a file before anything else, whoever
    sends it and however long it is: here it ends at its bound. The rest is read and dropped, because a client that is
    still sending hears no answer.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        try:
            await super().__call__(scope, _limit_body(receive, max_body_bytes(scope["path"])), send)
        except BodyTooLarge:
            problem = document(FrameTooLarge(f"at most {max_body_bytes(scope['path'])} bytes"))
            headers = {"content-type": MEDIA_TYPE, **HEADERS}
            raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": problem.status_code, "headers": raw})
            await send({"type": "http.response.body", "body": codec.encode(problem.data)})

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response, made on a thread for requests."""
        return await threads.run_request(self.get_response, request)


def max_body_bytes(path: str) -> int:
    """Return how long a body an address takes: a file or a piece of one, or else a megabyte."""
    if path == UPLOADS or path.startswith(f"{UPLOADS}/"):
        return max(settings.LIMITS.direct_upload_bytes, settings.LIMITS.upload_chunk_bytes) + ENVELOPE_BYTES
    return settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def _limit_body(receive: Any, limit: int) -> Any:
    """Return `receive` without the body above `limit` bytes; at its end that raises BodyTooLarge."""
    received = 0

    async def limited() -> Any:
        nonlocal received
        message = await receive()
        if message["type"] != "http.request":
            return message
        received += len(message.get("body", b""))
        if received <= limit:
            return message
        if not message.get("more_body", False):
            raise BodyTooLarge
        return {**message, "body": b""}

    return limited
