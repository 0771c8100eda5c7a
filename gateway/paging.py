"""Lists over REST, page by page: the query of a request, the cursors between pages, and the shape of the answer.

A cursor is opaque to clients. It encodes the key of a page's last row.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from django.conf import settings
from rest_framework.request import Request

from gateway.errors import InvalidPayload
from gateway.frames import Frame
from gateway.http import wire_int

T = TypeVar("T")
K = TypeVar("K")
L = TypeVar("L", bound="Listing[Any]")
QUERY = {"cursor": str, "limit": int}


class Listing(Frame, Generic[T], frozen=True):
    """One page of a list. `nextCursor` requests the next page; it is null on the last one."""

    results: list[T]
    next_cursor: str | None
    has_more: bool


@dataclass(frozen=True)
class Page(Generic[T]):
    """The rows of one page, and the cursor of the next one, None on the last page."""

    results: list[T]
    next_cursor: str | None


def listing(shape: type[L], results: Iterable[Any], next_cursor: str | None, **fields: Any) -> L:
    """Return one page as its shape; `fields` are the shape's own fields beside those of `Listing`."""
    return shape(results=list(results), next_cursor=next_cursor, has_more=next_cursor is not None, **fields)


def limit_of(request: Request, *, default: int | None = None, high: int | None = None) -> int:
    """Return the page length that a request asks for. Raises InvalidPayload if it is below 1 or above `high`.

    The defaults are the limits `page_default` and `page_max`.
    """
    limits = settings.LIMITS
    limit: int = wire_int(request, "limit", default=default or limits.page_default, low=1, high=high or limits.page_max)
    return limit


def cursor_of(request: Request, shape: type[K]) -> K | None:
    """Return the key in a request's cursor, None for the first page. Raises InvalidPayload for a foreign cursor."""
    text = request.query_params.get("cursor")
    return read_cursor(text, shape) if text else None


def write_cursor(key: object | None) -> str | None:
    """Return the key of a row as a cursor, and None for None."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=") if key is not None else None


def read_cursor(text: str, shape: type[K]) -> K:
    """Return the key in a cursor. Raises InvalidPayload unless it is a cursor of such a list."""
    try:
        key = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=shape)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidPayload("this is no cursor of this list", field="cursor") from None
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, str) and "\0" in part for part in parts):
        raise InvalidPayload("this is no cursor of this list", field="cursor")
    return key
