"""Search in the directory of users."""

import secrets
from collections.abc import Callable

import pytest

from accounts import blocks, queries, users
from gateway.bus import Event
from gateway.errors import InvalidPayload, RateLimited
from tests.accounts.conftest import Somebody

Make = Callable[..., Somebody]


@pytest.fixture
def unique_word() -> str:
    """A word that occurs in no name of another test."""
    return "x" + secrets.token_hex(6)


def _find(viewer: Somebody, q: str) -> list[str]:
    return [person.display_name for person in queries.search_directory(viewer.id, q=q, cursor=None, limit=50).results]


def test_directory_matches_word_prefixes_without_case_or_accents(somebody: Make, unique_word: str) -> None:
    me = somebody("Me")
    somebody(f"Zoë {unique_word} Ångström")
    for q in (
        unique_word,
        unique_word.upper(),
        unique_word[:8],
        f"zoe {unique_word}",
        f"{unique_word} ang",
        f"  {unique_word}  ANG",
    ):
        assert _find(me, q) == [f"Zoë {unique_word} Ångström"]
    assert _find(me, unique_word[1:]) == []


def test_directory_finds_an_email_address_whole_only(somebody: Make, unique_word: str) -> None:
    me, ada = somebody(), somebody("Ada", email=f"{unique_word}@example.org")
    assert _find(me, f" {unique_word}@EXAMPLE.org") == ["Ada"]
    for beginning in (unique_word[:3], unique_word, f"{unique_word}@", f"{unique_word}@example.or"):
        assert _find(me, beginning) == []
    assert _find(ada, f"{unique_word}@example.org") == []


def test_directory_is_searched_five_times_a_second(somebody: Make) -> None:
    me = somebody()
    with pytest.raises(RateLimited):
        for _ in range(11):
            queries.search_directory(me.id, q="a", cursor=None, limit=1)


def test_directory_escapes_sql_wildcards(somebody: Make, unique_word: str) -> None:
    me = somebody()
    somebody(f"100%_{unique_word}\\")
    assert _find(me, f"100%_{unique_word}\\") == [f"100%_{unique_word}\\"]
    assert _find(me, f"1%{unique_word}") == []
    assert _find(me, "'; DROP TABLE accounts_user; --") == []
    with pytest.raises(InvalidPayload):
        _find(me, "\0")


def test_directory_omits_the_viewer_disabled_users_and_blockers_of_the_viewer(
    somebody: Make, unique_word: str, published: list[Event]
) -> None:
    me, gone, foe, friend = (somebody(f"{unique_word} {name}") for name in ("Me", "Gone", "Foe", "Friend"))
    users.disable(gone.id)
    blocks.block(foe.id, me.id)
    blocks.block(me.id, friend.id)
    assert _find(me, unique_word) == [f"{unique_word} Friend"]
    assert _find(foe, unique_word) == [f"{unique_word} Friend", f"{unique_word} Me"]


def test_directory_pages_have_no_gap_and_no_duplicate(somebody: Make, unique_word: str) -> None:
    me = somebody()
    names = sorted([f"{unique_word} {secrets.token_hex(2)}" for _ in range(5)] + [f"{unique_word} same"] * 3)
    for name in names:
        somebody(name)
    seen: list[str] = []
    cursor = None
    for expected in (3, 3, 2):
        page = queries.search_directory(me.id, q=unique_word, cursor=cursor, limit=3)
        assert len(page.results) == expected
        seen += [person.display_name for person in page.results]
        cursor = page.next_cursor
    assert (seen, cursor) == (names, None)


@pytest.mark.parametrize("cursor", ["x", "====", "e30", "WyJhIl0", "WyJcdTAwMDAiLDFd", "\ud800", "é"])
def test_directory_refuses_a_foreign_cursor(somebody: Make, cursor: str) -> None:
    with pytest.raises(InvalidPayload) as refusal:
        queries.search_directory(somebody().id, q="", cursor=cursor, limit=3)
    assert refusal.value.field == "cursor"
