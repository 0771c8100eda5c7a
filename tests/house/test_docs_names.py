"""The docs name everything that clients and operators use: frames, codes, routes, events and tasks."""

import re
from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver

from config.env import BASE_DIR
from config.frames import ALIASES, FRAMES
from config.reactions import REACTIONS
from config.schedule import SCHEDULE
from config.urls import API
from gateway import errors
from gateway.errors import Refused
from outbox.events import EVENTS

PROTOCOL = (BASE_DIR / "docs" / "protocol.md").read_text()
ARCHITECTURE = (BASE_DIR / "docs" / "architecture.md").read_text()
APPS = ("accounts", "chat", "gateway", "holds", "outbox", "presence", "receipts")


def sources() -> str:
    return "\n".join(file.read_text() for app in APPS for file in (BASE_DIR / app).rglob("*.py"))


def codes(of: type[Refused]) -> Iterator[str]:
    yield of.code
    for below in of.__subclasses__():
        yield from codes(below)


def routes(patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    """Yield the paths below /api/v1/ in the notation of the docs."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns)
        else:
            yield re.sub(r"<str:\w+>", "{id}", str(pattern.pattern))


@pytest.mark.parametrize("name", [*FRAMES, *ALIASES])
def test_client_frames_are_documented(name: str) -> None:
    assert f"`{name}`" in PROTOCOL, "add it to docs/protocol.md, Frames from the client"


@pytest.mark.parametrize("name", sorted(set(re.findall(r'frame\(\s*"([a-z.-]+)"', sources()))))
def test_server_frames_are_documented(name: str) -> None:
    assert f"`{name}`" in PROTOCOL, "add it to docs/protocol.md, Frames from the server"


@pytest.mark.parametrize("code", sorted(set(codes(Refused)) - {errors.Refused.code} | {errors.Internal.code}))
def test_error_codes_are_documented(code: str) -> None:
    assert f"| `{code}` |" in PROTOCOL, "add a row to docs/protocol.md, Errors"


@pytest.mark.parametrize("code", sorted(set(re.findall(r"\b(4[0-9]{3}|1011), ", sources())) - {"4404"}))
def test_close_codes_are_documented(code: str) -> None:
    assert f"| {code} |" in PROTOCOL, "add a row to docs/protocol.md, Close codes"


@pytest.mark.parametrize("route", sorted(set(routes(API))))
def test_rest_routes_are_documented(route: str) -> None:
    listed = re.sub(r"\{\w+\}", "{id}", PROTOCOL.partition("## REST")[2])
    short = f"`/{route.rpartition('/')[2]}`"
    assert f"`/{route}`" in listed or short in listed, f"add a row for /{route} to docs/protocol.md, REST"


@pytest.mark.parametrize(
    "name", [*EVENTS, *(reaction.name for reaction in REACTIONS), *(entry["task"] for entry in SCHEDULE.values())]
)
def test_events_and_tasks_are_documented(name: str) -> None:
    assert f"`{name}`" in ARCHITECTURE, "add it to docs/architecture.md, The outbox"
