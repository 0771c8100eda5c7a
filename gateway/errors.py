"""The ways a request may fail: `Refused` is answered with an error, `Closed` ends the connection, the rest are bugs.

The codes are those of protocol 2.6. A module with a reason of its own subclasses `Refused` in that module.
"""

from typing import ClassVar


class Refused(Exception):
    """A request that is answered with an error frame or a problem document. The docstring is the default message.

    `retry_after` is in seconds; `field` is the wire name of the wrong field.
    """

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 400

    def __init__(self, message: str = "", *, field: str | None = None, retry_after: float | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.field = field
        self.retry_after = retry_after
        super().__init__(self.message)


class BadFrame(Refused):
    """This frame could not be read."""

    code = "BAD_FRAME"


class UnknownType(Refused):
    """There is no frame of this type."""

    code = "UNKNOWN_TYPE"


class InvalidPayload(Refused):
    """A field is missing or wrong."""

    code = "INVALID_PAYLOAD"
    status = 422


class FrameTooLarge(Refused):
    """This frame is larger than the limit."""

    code = "FRAME_TOO_LARGE"
    status = 413


class ContentTooLong(Refused):
    """The message is too long."""

    code = "CONTENT_TOO_LONG"
    status = 413


class Unauthorized(Refused):
    """Sign in first."""

    code = "UNAUTHORIZED"
    status = 401


class TokenExpired(Refused):
    """The token has expired: refresh it."""

    code = "TOKEN_EXPIRED"
    status = 401


class Forbidden(Refused):
    """You may not do this."""

    code = "FORBIDDEN"
    status = 403


class NotFound(Refused):
    """There is nothing here that you may know of."""

    code = "NOT_FOUND"
    status = 404


class Conflict(Refused):
    """The thing has changed meanwhile: read it again."""

    code = "VERSION_CONFLICT"
    status = 409


class RateLimited(Refused):
    """Too many requests: wait."""

    code = "RATE_LIMITED"
    status = 429


class Overloaded(Refused):
    """The server cannot take this now: try again."""

    code = "OVERLOADED"
    status = 503


class Internal(Refused):
    """Something went wrong on our side."""

    code = "INTERNAL"
    status = 500


class Closed(Exception):
    """Ends the connection, with a close code of protocol 2.6 and a reason of at most 123 bytes."""

    def __init__(self, code: int, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code} {reason}")
