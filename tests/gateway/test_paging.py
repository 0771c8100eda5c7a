"""Paging: the query of a request, cursors, and the shape of a page."""

from typing import Any

import msgspec
import pytest
from django.conf import settings
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from gateway.errors import InvalidPayload
from gateway.frames import Frame
from gateway.paging import Listing, cursor_of, limit_of, listing, read_cursor, write_cursor


class Row(Frame, frozen=True):
    """A row of a list."""

    name: str


class Rows(Listing[Row], frozen=True):
    """A page of rows, and how many there are."""

    total: int


def asked(**query: Any) -> Request:
    return Request(APIRequestFactory().get("/rows", query))


@pytest.mark.parametrize(("key", "shape"), [(7, int), ((True, 3), tuple[bool, int]), (("ß😀", 2**62), tuple[str, int])])
def test_cursor_returns_its_key(key: object, shape: type[object]) -> None:
    text = write_cursor(key)

    assert text is not None
    assert read_cursor(text, shape) == key


def test_no_key_makes_no_cursor() -> None:
    assert write_cursor(None) is None


@pytest.mark.parametrize("text", ["%", "7", write_cursor("a\0b"), write_cursor(("a\0b", 1)), write_cursor([1, 2])])
def test_foreign_cursor_is_refused(text: str) -> None:
    for shape in (int, tuple[str, int]):
        with pytest.raises(InvalidPayload) as refused:
            read_cursor(text, shape)
        assert refused.value.field == "cursor"


def test_request_without_cursor_and_limit_gets_the_first_page_of_default_length() -> None:
    assert cursor_of(asked(), int) is None
    assert cursor_of(asked(cursor=""), int) is None
    assert limit_of(asked()) == settings.LIMITS.page_default
    assert limit_of(asked(), default=7) == 7


def test_request_with_cursor_and_limit_gets_them() -> None:
    request = asked(cursor=write_cursor(41), limit="100")

    assert (cursor_of(request, int), limit_of(request, high=100)) == (41, 100)


@pytest.mark.parametrize(("limit", "high"), [("0", None), ("101", 100), (str(10**9), None), ("-1", None), ("x", None)])
def test_limit_out_of_bounds_is_refused(limit: str, high: int | None) -> None:
    with pytest.raises(InvalidPayload) as refused:
        limit_of(asked(limit=limit), high=high)
    assert refused.value.field == "limit"


@pytest.mark.parametrize(("cursor", "more"), [("abc", True), (None, False)])
def test_page_has_rows_cursor_and_own_fields(cursor: str | None, more: bool) -> None:
    page = listing(Rows, (Row(name=name) for name in "ab"), cursor, total=2)

    assert msgspec.to_builtins(page) == {
        "results": [{"name": "a"}, {"name": "b"}],
        "nextCursor": cursor,
        "hasMore": more,
        "total": 2,
    }


def test_schema_of_a_page_names_the_type_of_its_rows() -> None:
    (reference,), schemas = msgspec.json.schema_components([Rows], ref_template="{name}")

    assert reference == {"$ref": "Rows"}
    assert schemas["Rows"]["properties"]["results"] == {"type": "array", "items": {"$ref": "Row"}}
