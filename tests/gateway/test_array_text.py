"""Columns of a batch as PostgreSQL array text: PostgreSQL returns the same values."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from gateway.async_database import array

pytestmark = pytest.mark.django_db
# What PostgreSQL holds as text: no NUL, no half characters.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def returned(values: list[Any], kind: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT %s::{kind}[]", [array(values)])
        return cursor.fetchone()[0]


@given(st.lists(st.none() | TEXT))
def test_array_text_keeps_any_text(texts: list[str | None]) -> None:
    assert returned(texts, "text") == texts


@pytest.mark.parametrize(
    "text", ["", "NULL", "null", "{}", "a,b", '"', "\\", '\\"', " ", "\n\t", "'", "%s", "ß😀", "\u2028"]
)
def test_array_text_escapes_special_characters(text: str) -> None:
    assert returned([text, None], "text") == [text, None]


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_array_text_keeps_numbers(numbers: list[int | None]) -> None:
    assert returned(numbers, "bigint") == numbers


@given(st.lists(st.uuids()), st.lists(st.none() | st.booleans()))
def test_array_text_keeps_uuids_and_booleans(ids: list[UUID], flags: list[bool | None]) -> None:
    assert (returned(ids, "uuid"), returned(flags, "boolean")) == (ids, flags)


def test_array_text_nested_in_array_text_is_kept() -> None:
    inner = array([1, 2])
    assert returned([inner, None], "text") == [inner, None]
