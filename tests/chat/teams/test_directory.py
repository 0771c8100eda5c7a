"""The directory: people are found by name or whole address, listed if known, and their addresses are kept."""

import secrets
from dataclasses import replace

import pytest
from pytest_django import Settings

from accounts import blocks, contacts, users
from accounts.models import User
from chat.bodies.people import FoundPerson
from chat.conversations import conversations
from chat.teams import channels, directory, teams
from gateway.errors import InvalidPayload, NotFound, RateLimited
from gateway.ids import UserId
from tests.factories import Someone, someone


@pytest.fixture(autouse=True)
def searches(settings: Settings) -> None:
    """Let a test search faster than a person does."""
    settings.LIMITS = replace(settings.LIMITS, searches_per_second=1000)


@pytest.fixture
def unique_word() -> str:
    """A word that occurs in no name of another test."""
    return "x" + secrets.token_hex(6)


def search(viewer: Someone, q: str) -> list[FoundPerson]:
    return directory.search(viewer.id, q=q, cursor=None, limit=50).results


def _find(viewer: Someone, q: str) -> list[str]:
    return [person.display_name for person in search(viewer, q)]


def email_of(person: Someone) -> str:
    return User.objects.get(pk=person.id).email or ""


def test_directory_matches_word_prefixes_without_case_or_accents(unique_word: str) -> None:
    me = someone("Me")
    someone(f"Zoë {unique_word} Ångström")
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


def test_email_is_found_by_exact_match_alone() -> None:
    me, ada = someone(), someone("Ada")
    email = email_of(ada)

    assert _find(me, f" {email.upper()} ") == ["Ada"]
    assert [_find(me, email[:length]) for length in range(3, len(email))] == [[]] * (len(email) - 3)


def test_email_is_shown_to_people_of_a_common_team_and_to_mutual_contacts(unique_word: str) -> None:
    me, colleague, friend, stranger, fan = (someone(f"{unique_word} {n}") for n in ("me", "a", "b", "c", "d"))
    teams.add(me.id, teams.create(me.id, "Team", ""), colleague.id)
    contacts.add(me.id, friend.id)
    contacts.add(friend.id, me.id)
    contacts.add(me.id, stranger.id)
    contacts.add(fan.id, me.id)
    conversations.create_group(me.id, "Group", [stranger.id, fan.id])

    assert [person.email for person in search(me, unique_word)] == [email_of(colleague), email_of(friend), None, None]


def test_without_a_query_only_acquaintances_are_listed() -> None:
    me, colleague, contact, mate, partner, gone = (someone(n) for n in ("me", "a", "b", "c", "d", "e"))
    someone("stranger")
    team = teams.create(colleague.id, "Team", "")
    teams.add(colleague.id, team, me.id)
    channels.create(colleague.id, team, kind="channel", name="Channel", topic="", member_ids=[me.id])
    contacts.add(me.id, contact.id)
    contacts.add(someone("fan").id, me.id)
    conversations.create_group(mate.id, "Group", [me.id])
    conversations.open_direct(me.id, partner.id)
    contacts.add(me.id, gone.id)
    users.disable(gone.id)

    assert _find(me, "") == ["a", "b", "c", "d"]
    assert _find(me, "  ") == ["a", "b", "c", "d"]
    assert _find(someone("new"), "") == []


def test_unconfirmed_account_is_found_by_nobody(unique_word: str) -> None:
    new = users.register(display_name=unique_word, email=f"{unique_word}@example.org", password=None, confirmed=False)
    me = someone()

    assert (_find(me, unique_word), _find(me, f"{unique_word}@example.org")) == ([], [])
    with pytest.raises(NotFound):
        conversations.open_direct(me.id, new.pk)
    with pytest.raises(NotFound):
        conversations.create_group(me.id, "Group", [new.pk])
    with pytest.raises(NotFound):
        contacts.add(me.id, UserId(new.pk))
    users.confirm(UserId(new.pk))
    assert _find(me, unique_word) == [unique_word]


def test_searches_above_the_rate_are_refused(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, searches_per_second=2)
    me = someone()
    for _ in range(2):
        search(me, "a")
        search(me, "")

    with pytest.raises(RateLimited) as refusal:
        search(me, "a")

    assert 0 < (refusal.value.retry_after or 0) <= 0.5


def test_directory_escapes_sql_wildcards(unique_word: str) -> None:
    me = someone()
    someone(f"100%_{unique_word}\\")
    assert _find(me, f"100%_{unique_word}\\") == [f"100%_{unique_word}\\"]
    assert _find(me, f"1%{unique_word}") == []
    assert _find(me, "'; DROP TABLE accounts_user; --") == []
    with pytest.raises(InvalidPayload):
        _find(me, "\0")


def test_directory_omits_the_viewer_disabled_users_and_blockers_of_the_viewer(unique_word: str) -> None:
    me, gone, foe, friend = (someone(f"{unique_word} {name}") for name in ("Me", "Gone", "Foe", "Friend"))
    users.disable(gone.id)
    blocks.block(foe.id, me.id)
    blocks.block(me.id, friend.id)
    assert _find(me, unique_word) == [f"{unique_word} Friend"]
    assert _find(foe, unique_word) == [f"{unique_word} Friend", f"{unique_word} Me"]


def test_directory_pages_have_no_gap_and_no_duplicate(unique_word: str) -> None:
    me = someone()
    names = sorted([f"{unique_word} {secrets.token_hex(2)}" for _ in range(5)] + [f"{unique_word} same"] * 3)
    for name in names:
        someone(name)
    seen: list[str] = []
    cursor = None
    for expected in (3, 3, 2):
        page = directory.search(me.id, q=unique_word, cursor=cursor, limit=3)
        assert len(page.results) == expected
        seen += [person.display_name for person in page.results]
        cursor = page.next_cursor
    assert (seen, cursor) == (names, None)


@pytest.mark.parametrize("cursor", ["x", "====", "e30", "WyJhIl0", "WyJcdTAwMDAiLDFd", "\ud800", "é"])
def test_directory_refuses_a_foreign_cursor(cursor: str) -> None:
    with pytest.raises(InvalidPayload) as refusal:
        directory.search(someone().id, q="", cursor=cursor, limit=3)
    assert refusal.value.field == "cursor"
