"""The REST routes `/me…` and `/users…`."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts import blocks, privacy
from tests.accounts.conftest import Somebody
from tests.accounts.test_rest_auth import _assert_problem

Make = Callable[..., Somebody]
NewClient = Callable[..., APIClient]
ME = "/api/v1/me"
DEFAULTS = {
    "sendReadReceipts": True,
    "showReadReceipts": True,
    "showLastSeen": True,
    "showOnlineStatus": True,
    "showTyping": True,
    "whoCanMessage": "everyone",
    "deviceOverrides": {},
}


def test_profile_can_be_read_and_changed(client: NewClient, somebody: Make) -> None:
    who = somebody("Ada")
    api = client(who)
    before = api.get(ME).json()
    assert before.keys() == {"id", "displayName", "email", "phone", "avatarUrl", "createdAt"}
    after = api.patch(ME, {"displayName": " Ada  L. ", "avatarUrl": "/media/a.png", "unknown": 1}).json()
    assert after == {**before, "displayName": "Ada L.", "avatarUrl": "/media/a.png"}
    assert api.get(ME).json() == after


@pytest.mark.parametrize(
    ("body", "fields"),
    [({}, []), ({"displayName": None}, ["displayName"]), ({"displayName": "\0"}, ["displayName"]),
     ({"avatarUrl": "javascript:x"}, ["avatarUrl"]), ({"avatarUrl": ["/"]}, ["avatarUrl"])],
)  # fmt: skip
def test_invalid_profile_change_is_refused(client: NewClient, somebody: Make, body: Any, fields: list[str]) -> None:
    _assert_problem(client(somebody()).patch(ME, body), 422, "INVALID_PAYLOAD", *fields)


def test_privacy_can_be_read_and_changed_for_user_and_device(client: NewClient, somebody: Make) -> None:
    who = somebody()
    api, device = client(who), str(who.device_id)
    assert api.get(ME + "/privacy").json() == DEFAULTS
    change = {
        "showTyping": False,
        "whoCanMessage": "contacts",
        "deviceOverrides": {device: {"sendReadReceipts": False}},
    }
    expected = {**DEFAULTS, **change}
    assert api.patch(ME + "/privacy", change).json() == expected
    assert api.get(ME + "/privacy").json() == expected
    assert not privacy.get_device_settings(who.id, who.device_id).send_read_receipts
    api.patch(ME + "/privacy", {"deviceOverrides": {device: {"sendReadReceipts": None}}})
    assert api.get(ME + "/privacy").json() == {**expected, "deviceOverrides": {}}


@pytest.mark.parametrize(
    ("body", "field"),
    [({"showTyping": "no"}, "showTyping"), ({"showTyping": 0}, "showTyping"), ({"showTyping": None}, "showTyping"),
     ({"whoCanMessage": "nobody"}, "whoCanMessage"), ({"whoCanMessage": []}, "whoCanMessage"),
     ({"deviceOverrides": []}, "deviceOverrides"), ({"deviceOverrides": {"1": 5}}, "deviceOverrides")],
)  # fmt: skip
def test_invalid_privacy_setting_is_refused(client: NewClient, somebody: Make, body: Any, field: str) -> None:
    api = client(somebody())
    _assert_problem(api.patch(ME + "/privacy", body), 422, "INVALID_PAYLOAD", field)
    assert api.get(ME + "/privacy").json() == DEFAULTS


@pytest.mark.parametrize("key", ["x", "1", "9" * 40, "\0", ""])
def test_override_for_a_foreign_device_is_not_found(client: NewClient, somebody: Make, key: str) -> None:
    body = {"showTyping": False, "deviceOverrides": {key: {"showTyping": False}}}
    api = client(somebody())
    _assert_problem(api.patch(ME + "/privacy", body), 404, "NOT_FOUND")
    assert api.get(ME + "/privacy").json() == DEFAULTS


def test_contacts_and_blocks_can_be_managed_over_rest(client: NewClient, somebody: Make) -> None:
    ada, bob = somebody("Ada"), somebody("Bob")
    api = client(ada)
    assert api.put(f"{ME}/contacts/{bob.id}").status_code == 204
    row = api.get(ME + "/contacts").json()["results"][0]
    assert row.pop("createdAt").endswith("Z")
    assert row == {"id": str(bob.id), "displayName": "Bob", "avatarUrl": "", "mutual": False}
    assert api.put(f"{ME}/blocks/{bob.id}").status_code == 204
    assert api.get(ME + "/contacts").json() == {"results": [], "nextCursor": None, "hasMore": False}
    assert [row["id"] for row in api.get(ME + "/blocks").json()["results"]] == [str(bob.id)]
    _assert_problem(api.put(f"{ME}/contacts/{bob.id}"), 403, "FORBIDDEN")
    assert api.delete(f"{ME}/blocks/{bob.id}").status_code == 204
    _assert_problem(api.delete(f"{ME}/blocks/{bob.id}"), 404, "NOT_FOUND")
    _assert_problem(api.delete(f"{ME}/contacts/{bob.id}"), 404, "NOT_FOUND")


@pytest.mark.parametrize("kind", ["contacts", "blocks"])
def test_contacts_and_blocks_are_paged_latest_first(client: NewClient, somebody: Make, kind: str) -> None:
    ada, others = somebody(), [somebody() for _ in range(5)]
    api = client(ada)
    for other in others:
        api.put(f"{ME}/{kind}/{other.id}")
    seen, cursor, more = [], "", True
    while more:
        page = api.get(f"{ME}/{kind}", {"limit": "2", "cursor": cursor}).json()
        seen += [row["id"] for row in page["results"]]
        cursor, more = page["nextCursor"], page["hasMore"]
    assert seen == [str(other.id) for other in reversed(others)]


@pytest.mark.parametrize("verb", ["put", "delete"])
@pytest.mark.parametrize("kind", ["contacts", "blocks"])
@pytest.mark.parametrize("wrong", ["0", "x", "9" * 30, "%00", "-1", str(2**62), str(2**63)])
def test_missing_user_cannot_be_contact_or_blocked(
    client: NewClient, somebody: Make, kind: str, verb: str, wrong: str
) -> None:
    _assert_problem(getattr(client(somebody()), verb)(f"{ME}/{kind}/{wrong}"), 404, "NOT_FOUND")


def test_directory_shows_people_without_their_email(client: NewClient, somebody: Make) -> None:
    word = "x" + secrets.token_hex(6)
    ada, bob = somebody(f"Ada {word}"), somebody(f"Bob {word}")
    api = client(ada)
    person = {"id": str(bob.id), "displayName": f"Bob {word}", "avatarUrl": ""}
    found = api.get("/api/v1/users", {"q": word}).json()
    assert found == {"results": [{**person, "email": None}], "nextCursor": None, "hasMore": False}
    assert api.get(f"/api/v1/users/{bob.id}").json() == person
    blocks.block(bob.id, ada.id)
    assert api.get("/api/v1/users", {"q": word}).json()["results"] == []
    _assert_problem(api.get(f"/api/v1/users/{bob.id}"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("query", "field"),
    [("q=%00", "q"), ("q=" + "x" * 201, "q"), ("limit=0", "limit"), ("limit=501", "limit"), ("limit=x", "limit"),
     ("limit=" + "9" * 5000, "limit"), ("cursor=x", "cursor"), ("cursor=%00", "cursor"), ("cursor=%ff", "cursor"),
     ("cursor=WyJhIiwxZTMwMF0", "cursor")],
)  # fmt: skip
def test_invalid_directory_query_is_refused(client: NewClient, somebody: Make, query: str, field: str) -> None:
    _assert_problem(client(somebody()).get(f"/api/v1/users?{query}"), 422, "INVALID_PAYLOAD", field)


@pytest.mark.parametrize(
    "query", ["q=%ff", "q=%F0%9F%98%80", "cursor=WyJhIiw5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", "q=&limit="]
)
def test_unusual_directory_query_never_fails(client: NewClient, somebody: Make, query: str) -> None:
    assert client(somebody()).get(f"/api/v1/users?{query}").status_code in (200, 422)


@pytest.mark.parametrize("route", ["/me/contacts", "/me/blocks", "/auth/devices"])
def test_cursor_beyond_the_largest_id_does_not_fail(client: NewClient, somebody: Make, route: str) -> None:
    answer = client(somebody()).get(f"/api/v1{route}?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5")
    assert answer.status_code in (200, 422)
