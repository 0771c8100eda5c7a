"""The REST routes `/auth/…`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import handshake, tokens, users
from accounts.models import Device
from gateway.bus import Event
from gateway.routes import Handshake
from tests.accounts.conftest import PASSWORD, Somebody, new_email

Make = Callable[..., Somebody]
NewClient = Callable[..., APIClient]
AUTH = "/api/v1/auth/"


def _assert_problem(answer: Any, status: int, code: str, *fields: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "code", "detail"} <= body.keys()
    assert (body["status"], body["code"]) == (status, code)
    assert set(fields) == set(body.get("errors", {}))
    return body


def test_register_returns_user_device_and_tokens(client: NewClient) -> None:
    email = new_email()
    body = {"email": email.upper(), "password": PASSWORD, "displayName": "Ada", "deviceName": "Pixel"}
    answer = client().post(AUTH + "register", body)
    assert answer.status_code == 201, answer.content
    got = answer.json()
    assert got.keys() == {"user", "deviceId", "access", "refresh", "accessExpiresAt", "refreshExpiresAt"}
    assert got["user"] == {"id": got["user"]["id"], "displayName": "Ada", "email": email}
    assert isinstance(got["user"]["id"], str)
    assert isinstance(got["deviceId"], str)
    session = tokens.verify_access(got["access"])
    assert (str(session.user_id), str(session.device_id)) == (got["user"]["id"], got["deviceId"])
    assert got["accessExpiresAt"].endswith("Z")
    assert datetime.fromisoformat(got["accessExpiresAt"]).timestamp() == session.expires_at
    assert Device.objects.get(pk=got["deviceId"]).name == "Pixel"


def test_register_refuses_a_taken_email_in_other_case(client: NewClient, somebody: Make) -> None:
    email = new_email()
    somebody(email=email)
    body = {"email": email.upper(), "password": PASSWORD, "displayName": "Twin"}
    problem = _assert_problem(client().post(AUTH + "register", body), 422, "INVALID_PAYLOAD", "email")
    assert problem["errors"] == {"email": [users.EmailTaken().message]}
    assert "user" not in problem


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": None}, "email"),
        ({"email": 5}, "email"),
        ({"email": ["a@example.org"]}, "email"),
        ({"email": "a\0@example.org"}, "email"),
        ({"password": "12345678"}, "password"),
        ({"password": {}}, "password"),
        ({"password": "x" * 1001}, "password"),
        ({"displayName": ""}, "displayName"),
        ({"displayName": 7}, "displayName"),
        ({"displayName": "x" * 101}, "displayName"),
        ({"displayName": "x" * 900_000}, "displayName"),
        ({"displayName": "a\0b"}, "displayName"),
        ({"displayName": "\u202e"}, "displayName"),
        ({"deviceName": "x" * 1001}, "deviceName"),
        ({"deviceName": False}, "deviceName"),
    ],
)
def test_register_names_the_wrong_field(client: NewClient, change: dict[str, Any], field: str) -> None:
    body = {"email": new_email(), "password": PASSWORD, "displayName": "Ada", **change}
    _assert_problem(client().post(AUTH + "register", body), 422, "INVALID_PAYLOAD", field)


def test_register_names_the_missing_field(client: NewClient) -> None:
    answer = client().post(AUTH + "register", {"email": new_email(), "displayName": "Ada"})
    _assert_problem(answer, 422, "INVALID_PAYLOAD", "password")


def test_body_above_the_limit_is_refused(client: NewClient) -> None:
    body = {"email": new_email(), "password": PASSWORD, "displayName": "x" * 1_100_000}
    _assert_problem(client().post(AUTH + "register", body), 413, "FRAME_TOO_LARGE")


def test_invisible_characters_are_removed_from_a_device_name(client: NewClient) -> None:
    body = {"email": new_email(), "password": PASSWORD, "displayName": "Ada", "deviceName": "Pix\0el\u202e" + "!" * 300}
    device = Device.objects.get(pk=client().post(AUTH + "register", body).json()["deviceId"])
    assert device.name == "Pixel" + "!" * 195


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff\xfe", b'{"email": "\xff"}', b"[" * 100_000, b'{"a":' * 50_000, b"NaN", b"1" * 10_000, b'{"refresh": "\\ud800"}', b"[]", b"null", b'"x"'],
)  # fmt: skip
@pytest.mark.parametrize("route", ["register", "token", "token/refresh"])
def test_body_that_is_no_json_object_is_refused(client: NewClient, route: str, raw: bytes) -> None:
    answer = client().post(AUTH + route, raw, content_type="application/json")
    assert answer.status_code in (400, 422), answer.content
    assert answer.json()["code"] in ("BAD_FRAME", "INVALID_PAYLOAD")


def test_body_of_another_content_type_is_refused(client: NewClient) -> None:
    answer = client().post(AUTH + "token", "email=a&password=b", content_type="application/x-www-form-urlencoded")
    assert answer.json()["code"] == "BAD_FRAME"


def test_sign_in_creates_a_device_or_reuses_the_named_one(client: NewClient, somebody: Make) -> None:
    who = somebody(password=PASSWORD)
    body = {"email": f" {who.user.email} ".upper(), "password": PASSWORD, "deviceName": "Laptop"}
    first = client().post(AUTH + "token", body).json()
    assert first["user"]["id"] == str(who.id)
    assert first["deviceId"] != str(who.device_id)
    again = client().post(AUTH + "token", {**body, "deviceId": first["deviceId"]}).json()
    assert again["deviceId"] == first["deviceId"]
    with pytest.raises(tokens.WrongToken):
        tokens.rotate(first["refresh"])


def test_sign_in_with_another_users_device_creates_a_new_device(client: NewClient, somebody: Make) -> None:
    who, other = somebody(password=PASSWORD), somebody()
    body = {"email": who.user.email, "password": PASSWORD, "deviceId": str(other.device_id)}
    assert client().post(AUTH + "token", body).json()["deviceId"] not in (str(other.device_id), str(who.device_id))


def test_all_sign_in_failures_look_the_same(client: NewClient, somebody: Make, published: list[Event]) -> None:
    known, disabled = somebody(password=PASSWORD), somebody(password=PASSWORD)
    users.disable(disabled.id)
    tries = [
        (known.user.email, "wrong-horse-7"),
        (new_email(), PASSWORD),
        (disabled.user.email, PASSWORD),
        ("no address", PASSWORD),
        ("ü@example.org", PASSWORD),
    ]
    bodies = []
    for email, password in tries:
        answer = client().post(AUTH + "token", {"email": email, "password": password})
        bodies.append(_assert_problem(answer, 401, "UNAUTHORIZED"))
    assert all(body == bodies[0] for body in bodies)


def test_unknown_account_costs_the_same_hashing_as_a_wrong_password(
    client: NewClient, somebody: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def counted(real: Callable[[Any, str, str], Any]) -> Callable[[Any, str, str], Any]:
        def work(self: Any, password: str, other: str) -> Any:
            hashed.append(password)
            return real(self, password, other)

        return work

    known = somebody(password=PASSWORD).user.email
    for name in ("encode", "verify"):
        monkeypatch.setattr(Argon2PasswordHasher, name, counted(getattr(Argon2PasswordHasher, name)))
    for email in (known, new_email()):
        client().post(AUTH + "token", {"email": email, "password": "wrong-horse-7"})
    assert hashed == ["wrong-horse-7"] * 2


def test_failed_sign_ins_are_limited_by_network_and_lock_no_account(
    client: NewClient, somebody: Make, settings: Settings
) -> None:
    settings.LIMITS = replace(settings.LIMITS, sign_ins_per_minute=3)
    victims = [somebody(password=PASSWORD) for _ in range(4)]
    attacker = client()
    statuses = [
        attacker.post(AUTH + "token", {"email": victim.user.email, "password": "wrong-horse-7"}).status_code
        for _ in range(5)
        for victim in victims
    ]
    assert statuses == [401] * 3 + [429] * 17
    limited = attacker.post(AUTH + "token", {"email": victims[3].user.email, "password": PASSWORD})
    _assert_problem(limited, 429, "RATE_LIMITED")
    assert 1 <= int(limited["Retry-After"]) <= 20
    for victim in victims:
        assert client().post(AUTH + "token", {"email": victim.user.email, "password": PASSWORD}).status_code == 200


def test_failures_from_many_networks_slow_unknown_networks_and_not_the_users_own(
    client: NewClient, somebody: Make, settings: Settings
) -> None:
    settings.LIMITS = replace(settings.LIMITS, sign_ins_per_minute=2)
    who, home = somebody(password=PASSWORD), client()
    right, wrong = ({"email": who.user.email, "password": password} for password in (PASSWORD, "wrong-horse-7"))
    assert home.post(AUTH + "token", right).status_code == 200
    statuses = [client().post(AUTH + "token", wrong).status_code for _ in range(8)]
    assert statuses == [401] * 6 + [429] * 2
    _assert_problem(client().post(AUTH + "token", right), 429, "RATE_LIMITED")
    assert home.post(AUTH + "token", right).status_code == 200


def test_successful_sign_ins_do_not_count_against_the_limit(
    client: NewClient, somebody: Make, settings: Settings
) -> None:
    settings.LIMITS = replace(settings.LIMITS, sign_ins_per_minute=2)
    who, api = somebody(password=PASSWORD), client()
    for _ in range(4):
        assert api.post(AUTH + "token", {"email": who.user.email, "password": PASSWORD}).status_code == 200


def test_refreshed_pair_works_and_reuse_of_the_old_token_signs_out(
    client: NewClient, somebody: Make, published: list[Event]
) -> None:
    who, api = somebody(), client()
    fresh = api.post(AUTH + "token/refresh", {"refresh": who.pair.refresh}).json()
    assert fresh.keys() == {"deviceId", "access", "refresh", "accessExpiresAt", "refreshExpiresAt"}
    api.credentials(HTTP_AUTHORIZATION=f"bearer {fresh['access']}")
    assert api.get("/api/v1/me").status_code == 200
    _assert_problem(api.post(AUTH + "token/refresh", {"refresh": who.pair.refresh}), 401, "UNAUTHORIZED")
    _assert_problem(api.get("/api/v1/me"), 401, "UNAUTHORIZED")


def test_ticket_route_returns_a_ticket_for_the_callers_device(client: NewClient, somebody: Make) -> None:
    who = somebody()
    got = client(who).post(AUTH + "ws-ticket").json()
    assert got.keys() == {"ticket", "expiresAt"}
    session = handshake.authenticate(Handshake({}, {"ticket": got["ticket"]}, {}))
    assert session == tokens.decode_access(who.pair.access)


def test_logout_voids_the_tokens_and_closes_the_sockets(
    client: NewClient, somebody: Make, published: list[Event]
) -> None:
    who = somebody()
    api = client(who)
    assert api.post(AUTH + "logout").status_code == 204
    assert [(o.close_device, o.code) for o in published] == [(who.device_id, 4401)]
    _assert_problem(api.get("/api/v1/me"), 401, "UNAUTHORIZED")
    _assert_problem(client().post(AUTH + "token/refresh", {"refresh": who.pair.refresh}), 401, "UNAUTHORIZED")


def test_devices_can_be_listed_and_signed_out_one_by_one(
    client: NewClient, somebody: Make, published: list[Event]
) -> None:
    who = somebody(password=PASSWORD)
    second = (
        client().post(AUTH + "token", {"email": who.user.email, "password": PASSWORD, "deviceName": "Phone"}).json()
    )
    api = client(who)
    listed = api.get(AUTH + "devices").json()
    assert (listed["nextCursor"], listed["hasMore"]) == (None, False)
    assert [(d["id"], d["name"], d["current"]) for d in listed["results"]] == [
        (second["deviceId"], "Phone", False),
        (str(who.device_id), "test", True),
    ]
    assert api.delete(f"{AUTH}devices/{second['deviceId']}").status_code == 204
    assert [o.close_device for o in published] == [int(second["deviceId"])]
    _assert_problem(api.delete(f"{AUTH}devices/{second['deviceId']}"), 404, "NOT_FOUND")
    assert [d["id"] for d in api.get(AUTH + "devices").json()["results"]] == [str(who.device_id)]


def test_another_users_device_is_not_found(client: NewClient, somebody: Make) -> None:
    ada, bob = somebody(), somebody()
    for device_id in (bob.device_id, "0", "x", "9" * 30, "%00"):
        _assert_problem(client(ada).delete(f"{AUTH}devices/{device_id}"), 404, "NOT_FOUND")
    assert tokens.verify_access(bob.pair.access)


def test_request_without_credentials_is_unauthorized(client: NewClient) -> None:
    answer = client().get("/api/v1/me")
    _assert_problem(answer, 401, "UNAUTHORIZED")


def test_web_session_needs_a_csrf_token_for_changes(client: NewClient, somebody: Make) -> None:
    who = somebody()
    api = client(csrf=True)
    api.force_login(who.user)
    assert api.get("/api/v1/me").json()["id"] == str(who.id)
    _assert_problem(api.patch("/api/v1/me", {"displayName": "Forged"}), 403, "FORBIDDEN")
    assert api.get("/api/v1/me").json()["displayName"] == "Somebody"
    token = Client().get("/accounts/login/").cookies["csrftoken"].value
    api.cookies["csrftoken"] = token
    answer = api.patch("/api/v1/me", {"displayName": "Mine"}, HTTP_X_CSRFTOKEN=token)
    assert (answer.status_code, answer.json()["displayName"]) == (200, "Mine")


def test_bearer_token_needs_no_csrf_token(client: NewClient, somebody: Make) -> None:
    api = client(csrf=True)
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {somebody().pair.access}")
    assert api.patch("/api/v1/me", {"displayName": "Mine"}).status_code == 200


def test_logout_over_rest_ends_the_web_session(client: NewClient, somebody: Make, published: list[Event]) -> None:
    who, api = somebody(), client()
    api.force_login(who.user)
    current = [d["id"] for d in api.get(AUTH + "devices").json()["results"] if d["current"]]
    assert api.post(AUTH + "logout").status_code == 204
    assert [str(o.close_device) for o in published] == current
    _assert_problem(api.get("/api/v1/me"), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("key", ["x", '"\\000aaaaaaaaaaaa"', "a" * 5000, "'; --aaaaaaaa"])
def test_invalid_session_cookie_is_unauthorized(client: NewClient, key: str) -> None:
    answer = client().get("/api/v1/me", HTTP_COOKIE=f"parley_session={key}")
    _assert_problem(answer, 401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "Bearer \xff\xff", "Bearer a b", "bearer " + "x" * 9000, "\xff"]
)
def test_malformed_authorization_header_is_unauthorized(client: NewClient, value: str) -> None:
    _assert_problem(client().get("/api/v1/me", HTTP_AUTHORIZATION=value), 401, "UNAUTHORIZED")
