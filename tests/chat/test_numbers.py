"""The numbers of chat in the contract: each bounds what it says, and moves when the installation moves it."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from django.conf import settings as django_settings
from pytest_django.fixtures import Settings

from chat.frames import Watermark
from chat.messages import validation
from chat.sync import sync
from config.contract import wire_name
from config.limits import Limits
from gateway.errors import ContentTooLong, InvalidPayload
from tests.chat.rest import Api
from tests.factories import Someone, direct, group, say_many, someone
from tests.servers import Server, serve

NARROW = {
    "page_default": 3,
    "page_max": 4,
    "backfill_default": 2,
    "max_name_chars": 6,
    "max_content_bytes": 12,
    "messages_per_second": 1,
    "messages_burst": 3,
}


@pytest.fixture(scope="module")
def narrow(open_database: None) -> Iterator[Server]:
    """A process with small numbers."""
    environ = {f"PARLEY_LIMIT_{name.upper()}": str(value) for name, value in NARROW.items()}
    with serve(django_settings.DATABASES["default"]["NAME"], port=None, **environ) as running:
        yield running


@pytest.fixture
def chat(open_database: None) -> tuple[Someone, int]:
    ada = someone()
    chat = direct(ada, someone())
    say_many(ada, chat, 6)
    return ada, chat


def results(server: Server, person: Someone, path: str) -> int:
    return len(Api(server, person).get(path).body["results"])


def test_contract_publishes_the_default_limits() -> None:
    """Features 1.1 and the U table give these numbers."""
    defaults = {entry.name: entry.default for entry in fields(Limits)}

    assert {name: defaults[name] for name in (
        "max_content_chars", "max_content_bytes", "max_group_members", "page_default", "page_max", "backfill_default",
        "sync_too_large", "messages_per_second", "messages_burst", "messages_per_minute", "stranger_messages_per_minute",
        "urgent_per_hour", "groups_per_day", "fanout_threshold",
    )} == {
        "max_content_chars": 10_000, "max_content_bytes": 32 * 1024, "max_group_members": 1_000, "page_default": 50,
        "page_max": 500, "backfill_default": 100, "sync_too_large": 500, "messages_per_second": 10, "messages_burst": 20,
        "messages_per_minute": 100, "stranger_messages_per_minute": 10, "urgent_per_hour": 3, "groups_per_day": 10,
        "fanout_threshold": 50,
    }  # fmt: skip


def test_history_page_size_limits_are_configurable(narrow: Server, chat: tuple[Someone, int]) -> None:
    ada, id_ = chat

    assert results(narrow, ada, f"conversations/{id_}/messages") == NARROW["page_default"]
    assert results(narrow, ada, f"conversations/{id_}/messages?limit=4") == NARROW["page_max"]
    assert Api(narrow, ada).get(f"conversations/{id_}/messages?limit=5").fields == ["limit"]


def test_backfill_page_has_the_configured_size(narrow: Server, chat: tuple[Someone, int]) -> None:
    ada, id_ = chat

    answer = Api(narrow, ada).post(f"conversations/{id_}/backfill", {})

    assert len(answer.body["chats"][0]["messages"]) == NARROW["backfill_default"]


def test_name_and_message_length_limits_are_configurable(narrow: Server, chat: tuple[Someone, int]) -> None:
    ada, id_ = chat
    api = Api(narrow, ada)

    def made(name: str) -> int:
        return api.post("conversations", {"kind": "group", "name": name, "memberIds": []}).status

    assert (made("123456"), made("1234567")) == (201, 422)
    assert (api.say(id_, "éééééé").status, api.say(id_, "éééééée").code) == (201, "CONTENT_TOO_LONG")


def test_rate_limited_request_returns_429_with_retry_after(narrow: Server) -> None:
    ada = someone()
    id_ = group(ada)
    api = Api(narrow, ada)

    replies = [api.say(id_, "a") for _ in range(NARROW["messages_burst"] + 4)]

    refused = [reply for reply in replies if reply.status != 201]
    assert refused and {(reply.status, reply.code) for reply in refused} == {(429, "RATE_LIMITED")}
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)


def test_process_enforces_the_limits_that_it_publishes(narrow: Server) -> None:
    published = Api(narrow).get("contract").body["limits"]

    assert {name: published[wire_name(name)]["value"] for name in NARROW} == NARROW
    assert published.keys() == {wire_name(entry.name) for entry in fields(Limits)}


def test_sync_size_limits_are_configurable(settings: Settings) -> None:
    ada = someone()
    chats = [group(ada) for _ in range(4)]
    for id_ in chats:
        say_many(ada, id_, 3)

    def got(**numbers: int) -> tuple[int, int, bool]:
        settings.LIMITS = replace(settings.LIMITS, **{"sync_messages": 1000, "sync_chats": 1000, **numbers})
        answer = sync.changes(ada.viewer, {})
        return sum(len(c.messages) for c in answer.chats), len(answer.chats), answer.has_more

    assert got() == (12, 4, False)
    assert got(sync_messages=7)[0::2] == (7, True)
    assert got(sync_chats=2) == (6, 2, True)


def test_gap_limit_is_configurable(settings: Settings) -> None:
    ada = someone()
    id_ = group(ada)
    say_many(ada, id_, 4)

    def too_large(number: int) -> bool:
        settings.LIMITS = replace(settings.LIMITS, sync_too_large=number)
        return sync.changes(ada.viewer, {id_: Watermark(seq=0)}).chats[0].too_large

    assert (too_large(4), too_large(3)) == (False, True)


@pytest.mark.parametrize(
    ("number", "fits", "fields", "refusal"),
    [
        ("max_content_chars", {"content": "12345"}, {"content": "123456"}, ContentTooLong),
        ("max_content_bytes", {"content": "éé1"}, {"content": "ééé"}, ContentTooLong),
        ("max_mentions", {"mentions": ["1"] * 5}, {"mentions": ["1"] * 6}, InvalidPayload),
    ],
)
def test_draft_respects_the_configured_limits(
    settings: Settings, number: str, fits: dict[str, Any], fields: dict[str, Any], refusal: type[Exception]
) -> None:
    wanted = {"conversation_id": 1, "sender_id": 1, "client_id": "6d8b5cf4-5f6e-4c4e-8bb5-0d7d2bb0a7a1", "content": "a"}
    settings.LIMITS = replace(settings.LIMITS, **{number: 5})

    validation.draft(**{**wanted, **fits})
    with pytest.raises(refusal):
        validation.draft(**{**wanted, **fields})
