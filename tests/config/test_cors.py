"""CORS headers of the API (F268)."""

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django.fixtures import Settings

from config.env import WrongEnvironment, load
from tests.factories import Someone, someone

ALLOWED, OTHER = "https://app.example.org", "https://evil.example"


@pytest.fixture(autouse=True)
def one_origin(settings: Settings) -> None:
    settings.ORIGINS = [ALLOWED]


def preflight(origin: str, path: str = "/api/v1/me") -> HttpResponse:
    """Send the preflight of a browser for a request with a token."""
    headers = {
        "origin": origin,
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "authorization",
    }
    answer = Client(headers=headers).options(path)
    assert isinstance(answer, HttpResponse)
    return answer


def get_profile(person: Someone, origin: str) -> HttpResponse:
    answer = Client(headers={"origin": origin, "authorization": f"Bearer {person.access}"}).get("/api/v1/me")
    assert isinstance(answer, HttpResponse)
    return answer


def test_configured_origin_can_use_the_api_with_a_token() -> None:
    before = preflight(ALLOWED)
    assert (before.status_code, before["Access-Control-Allow-Origin"]) == (204, ALLOWED)
    assert "PATCH" in before["Access-Control-Allow-Methods"]
    assert "Authorization" in before["Access-Control-Allow-Headers"]

    answer = get_profile(someone("Ada"), ALLOWED)

    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, ALLOWED)
    assert "Origin" in answer["Vary"]
    assert not answer.has_header("Access-Control-Allow-Credentials"), "the session's cookie stays with our own pages"


@pytest.mark.parametrize(
    "origin", [OTHER, "null", "", "https://app.example.org.evil.example", "http://app.example.org"]
)
def test_other_origins_get_no_cors_headers(origin: str) -> None:
    for answer in (preflight(origin), get_profile(someone(), origin)):
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
        assert "Origin" in answer["Vary"], "no cache gives one origin's answer to another"


def test_html_pages_send_no_cors_headers() -> None:
    assert not preflight(ALLOWED, "/accounts/login/").has_header("Access-Control-Allow-Origin")


@pytest.mark.parametrize("value", ["app.example.org", "https://*.example.org", "*", "https://a.example/path", "ws://a"])
def test_invalid_origin_stops_the_start(value: str) -> None:
    with pytest.raises(WrongEnvironment, match="PARLEY_ORIGINS"):
        load({"PARLEY_ORIGINS": value})


def test_origins_are_normalized_as_browsers_send_them() -> None:
    assert load({"PARLEY_ORIGINS": "https://App.example.org/, http://localhost:3000"})["PARLEY_ORIGINS"] == [
        ALLOWED,
        "http://localhost:3000",
    ]
