"""Ids of every table: 64 bits, time-ordered, made by PostgreSQL's `new_id()` (migration 0001), strings on the wire."""

from collections.abc import Callable
from typing import TypeVar

from django.db.models import Func

from gateway.errors import NotFound

T = TypeVar("T", bound=int)
NEW_ID = Func(function="new_id")
MAX_ID = 2**63 - 1


def from_wire(text: str, kind: Callable[[int], T]) -> T:
    """Return the id in a text of a client, as the type `kind`, for example `from_wire(text, UserId)`.

    Raises NotFound for a text that cannot be an id.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and (number := int(text)) <= MAX_ID):
        raise NotFound
    return kind(number)
