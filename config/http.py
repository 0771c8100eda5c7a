"""Django's HTTP handler of a web process: one thread for each request, and a limit on the body."""

from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from gateway import codec, threads
from gateway.errors import FrameTooLarge
from gateway.http import HEADERS, MEDIA_TYPE, document

UPLOADS = "/api/v1/attachments"
# Bytes that multipart encoding adds to a file.
ENVELOPE_BYTES = 64 * 1024


class BodyTooLarge(Exception):
    """The body is longer than its path allows."""


class SingleThreadHandler(ASGIHandler):
    """Django's ASGI handler that runs middleware and view of a request on one thread.

    All our code is synchronous. By default Django switches threads for each middleware; a request spent 37 % of its
    time on that. Django also reads a whole body into a file first, of any length and from anybody; this handler
    stops at the limit. It reads and drops the rest, because a client does not read an answer while it still sends.
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
        """Return the response, computed on a thread of the request pool."""
        return await threads.run_request(self.get_response, request)


def max_body_bytes(path: str) -> int:
    """Return the largest body of a path in bytes: a file or a chunk of one for uploads, otherwise 1 MiB."""
    if path == UPLOADS or path.startswith(f"{UPLOADS}/"):
        return max(settings.LIMITS.direct_upload_bytes, settings.LIMITS.upload_chunk_bytes) + ENVELOPE_BYTES
    return settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def _limit_body(receive: Any, limit: int) -> Any:
    """Return a `receive` that drops the body above `limit` bytes and raises BodyTooLarge at its end."""
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
