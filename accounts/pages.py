"""Pages of a list and the cursors between them: opaque to clients, the last row's key to us."""

import base64
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from gateway.errors import InvalidPayload

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and where the next ones begin; None at the end."""

    results: list[T]
    next_cursor: str | None

    @property
    def has_more(self) -> bool:
        return self.next_cursor is not None


def write_cursor(key: object) -> str:
    """Return a row's key as a cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def read_cursor(text: str, shape: type[K]) -> K:
    """Return the key in a cursor. Raises InvalidPayload for what is no cursor of such a list."""
    try:
        key = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=shape)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidPayload("this is no cursor of this list", field="cursor") from None
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, str) and "\0" in part for part in parts):
        raise InvalidPayload("this is no cursor of this list", field="cursor")
    return key
