"""Columns of a batch as PostgreSQL's own text of an array: what goes in comes out."""

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
def test_texts_come_back_as_they_were(texts: list[str | None]) -> None:
    assert returned(texts, "text") == texts


@pytest.mark.parametrize(
    "text", ["", "NULL", "null", "{}", "a,b", '"', "\\", '\\"', " ", "\n\t", "'", "%s", "ß😀", "\u2028"]
)
def test_what_an_array_would_read_otherwise_is_text(text: str) -> None:
    assert returned([text, None], "text") == [text, None]


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_numbers_come_back(numbers: list[int | None]) -> None:
    assert returned(numbers, "bigint") == numbers


@given(st.lists(st.uuids()), st.lists(st.none() | st.booleans()))
def test_ids_and_flags_come_back(ids: list[UUID], flags: list[bool | None]) -> None:
    assert (returned(ids, "uuid"), returned(flags, "boolean")) == (ids, flags)


def test_a_column_within_a_column_is_text() -> None:
    inner = array([1, 2])
    assert returned([inner, None], "text") == [inner, None]
