"""Frames and structs that all apps share: envelope, hello, error, session.

Each app declares its other frames itself.
"""

from enum import IntEnum
from typing import NamedTuple

import msgspec

from gateway.ids import DeviceId, UserId


class Frame(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A payload. Names on the wire are camelCase; unknown fields are ignored (protocol, introduction)."""


class Class(IntEnum):
    """The classes of a connection's outbound queue, the most important first (F300, K28)."""

    MESSAGE = 0
    BADGE = 1
    RECEIPT = 2
    COSMETIC = 3
    TYPING = 4
    PRESENCE = 5


class Envelope(Frame, frozen=True):
    """The envelope of a client's text frame (protocol 2).

    `id` correlates the answer; without it there is no `refId`.
    """

    type: str
    id: str | None = None
    timestamp: str | None = None
    traceparent: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"{}")


class Viewer(NamedTuple):
    """The user who looks and the device on which they do: a device may be shown less than its user (K8)."""

    user_id: UserId
    device_id: DeviceId


# For what goes to all devices of a user alike: it shows no more than the strictest of them may see.
ALL_DEVICES = DeviceId(0)


class Session(NamedTuple):
    """The user and device behind a token or cookie; `expires_at` is a Unix time, None for a web session."""

    user_id: UserId
    device_id: DeviceId
    expires_at: float | None

    @property
    def viewer(self) -> Viewer:
        return Viewer(self.user_id, self.device_id)


class Caller(NamedTuple):
    """The sender of a frame, passed to its handler together with the payload."""

    user_id: UserId
    device_id: DeviceId
    connection_id: int
    frame_id: str
    traceparent: str | None = None

    @property
    def viewer(self) -> Viewer:
        return Viewer(self.user_id, self.device_id)


class AuthRenew(Frame, frozen=True):
    """`auth.renew`: a fresh access token for this connection (protocol 2.1)."""

    token: str


class Limits(Frame, frozen=True):
    """The limits that a client must know before its first frame."""

    max_frame_bytes: int
    max_content_chars: int
    max_attachments: int


class Hello(Frame, frozen=True):
    """`hello`: the first frame from the server (protocol 1)."""

    version: int
    user_id: str
    device_id: str
    connection_id: str
    resume_token: str
    resume_window: int
    resumed: bool
    epoch: str
    heartbeat_interval: int
    heartbeat_timeout: float
    server_time: str
    token_expires_at: str | None
    limits: Limits
    capabilities: list[str]
    degraded: list[str]
    aliases: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class ErrorBody(Frame, frozen=True, omit_defaults=True):
    """An error: `message` is for people, `code` for programs (protocol 2.6)."""

    code: str
    message: str
    retry_after: float | None = None
    field: str | None = None


class ErrorFrame(ErrorBody, frozen=True, omit_defaults=True):
    """`error`: the refusal of a frame that has no ack (protocol 2)."""

    ref_id: str | None = None


class TokenRefresh(Frame, frozen=True):
    """`token.refresh`: the token expires soon; renew it over HTTPS, then send `auth.renew`."""

    expires_at: str


class SystemStatus(Frame, frozen=True):
    """`system.status`: the degraded parts; an empty list when all work again."""

    degraded: list[str]
