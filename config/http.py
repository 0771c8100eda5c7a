"""Django's HTTP handler of a web process: one thread for each request, and a limit on the body."""

import asyncio
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from gateway import codec, threads
from gateway.errors import BadFrame, FrameTooLarge, Overloaded, Refused, Unauthorized
from gateway.http import HEADERS, MEDIA_TYPE, document

UPLOADS = "/api/v1/attachments"
# Bytes that multipart encoding adds to a file.
ENVELOPE_BYTES = 64 * 1024


# A body may take so long, and a second more for every BODY_RATE bytes of it that have come.
BODY_SECONDS, BODY_RATE = 30.0, 50_000
# Bodies that this process receives at once; each is spooled to disk from FILE_UPLOAD_MAX_MEMORY_SIZE on.
MOST_OPEN_BODIES = 200
HEALTH = b'{"status": "ok"}'


class BodyTooSlow(BadFrame):
    """The body came too slowly."""

    status = 408


class RefusedBody(Exception):
    """A body that is not read to its end, and the refusal that answers it."""

    def __init__(self, refusal: Refused) -> None:
        self.refusal = refusal


class SingleThreadHandler(ASGIHandler):
    """Django's ASGI handler that runs middleware and view of a request on one thread.

    All our code is synchronous. By default Django switches threads for each middleware; a request spent 37 % of its
    time on that. Django also reads a whole body into a file first, of any length and from anybody; this handler
    stops at the limit. It reads and drops the rest, because a client does not read an answer while it still sends.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request. `/healthz` is answered here, on the event loop: it checks no dependency, so that an outage of
        one restarts no process, and does not wait for a thread.
        """
        if scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
            await _answer(send, 200, "application/json", HEALTH if scope["method"] == "GET" else b"", len(HEALTH))
            return
        try:
            if is_upload(scope) and not has_credentials(scope):
                raise RefusedBody(Unauthorized())
            await super().__call__(scope, _limit_body(receive, max_body_bytes(scope["path"])), send)
        except RefusedBody as fault:
            problem = document(fault.refusal)
            content = codec.encode(problem.data)
            await _answer(send, problem.status_code, MEDIA_TYPE, content, len(content))

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response, computed on a thread of the request pool."""
        return await threads.run_request(self.get_response, request)


def max_body_bytes(path: str) -> int:
    """Return the largest body of a path in bytes: a file or a chunk of one for uploads, otherwise 1 MiB."""
    if path == UPLOADS or path.startswith(f"{UPLOADS}/"):
        return max(settings.LIMITS.direct_upload_bytes, settings.LIMITS.upload_chunk_bytes) + ENVELOPE_BYTES
    return settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def is_upload(scope: Any) -> bool:
    """Return whether a request brings a large body."""
    path: str = scope["path"]
    return scope["method"] not in ("GET", "HEAD", "OPTIONS") and (path == UPLOADS or path.startswith(f"{UPLOADS}/"))


def has_credentials(scope: Any) -> bool:
    """Return whether a request has a token or a session's cookie at all; whether they are valid is for the view."""
    cookie = f"{settings.SESSION_COOKIE_NAME}=".encode()
    return any(name == b"authorization" or (name == b"cookie" and cookie in value) for name, value in scope["headers"])


_open_bodies = 0


def _limit_body(receive: Any, limit: int) -> Any:
    """Return a `receive` that drops the body above `limit` bytes. Raises RefusedBody at the end of one that is too long, for
    one that comes too slowly, and for one too many at once.
    """
    received, ended, started = 0, False, asyncio.get_running_loop().time()

    async def limited() -> Any:
        nonlocal received, ended
        if ended:
            return await receive()  # Django waits for the client to go
        message = await _in_time(receive, started + BODY_SECONDS + received / BODY_RATE, first=received == 0)
        ended = message["type"] != "http.request" or not message.get("more_body", False)
        if message["type"] != "http.request":
            return message
        received += len(message.get("body", b""))
        if received <= limit:
            return message
        if ended:
            raise RefusedBody(FrameTooLarge(f"at most {limit} bytes"))
        return {**message, "body": b""}

    return limited


async def _in_time(receive: Any, until: float, *, first: bool) -> Any:
    """Return the next part of a body, which most requests have whole at once."""
    global _open_bodies
    if _open_bodies >= MOST_OPEN_BODIES and first:
        raise RefusedBody(Overloaded("too many uploads at once", retry_after=5))
    _open_bodies += 1
    try:
        async with asyncio.timeout_at(until):
            return await receive()
    except TimeoutError:
        raise RefusedBody(BodyTooSlow()) from None
    finally:
        _open_bodies -= 1


async def _answer(send: Any, status: int, content_type: str, content: bytes, length: int) -> None:
    headers = {"content-type": content_type, "content-length": str(length), **HEADERS}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})
