"""What a draft must satisfy before it is stored (F14, F16)."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings

from chat.drafts import Draft
from chat.messages import validation
from gateway.errors import ContentTooLong, InvalidPayload, NotFound, Refused

CLIENT_ID = "6d8b5cf4-5f6e-4c4e-8bb5-0d7d2bb0a7a1"


def drafted(**fields: Any) -> Draft:
    return validation.draft(
        **{"conversation_id": 1, "sender_id": 2, "client_id": CLIENT_ID, "content": "hello", **fields}
    )


def test_text_is_stored_as_typed() -> None:
    content = "  e\u0301 \u00e9 \u200d 👩‍👩‍👧 \u202ertl\r\n\t"

    assert drafted(content=content).content == content


@pytest.mark.parametrize(
    ("fields", "refusal", "field"),
    [
        ({"content": ""}, InvalidPayload, "content"),
        ({"content": " \n\t\u3000"}, InvalidPayload, "content"),
        ({"content": "a\0b"}, InvalidPayload, "content"),
        ({"content": "\ud800"}, InvalidPayload, "content"),
        ({"content": "x" * 10_001}, ContentTooLong, "content"),
        ({"content": "\u3042" * 10_000 + "\u3042" * 923}, ContentTooLong, "content"),
        ({"content": "👩" * 8_193}, ContentTooLong, "content"),
        ({"content_type": "html"}, InvalidPayload, "contentType"),
        ({"content_type": "system"}, InvalidPayload, "contentType"),
        ({"priority": "highest"}, InvalidPayload, "priority"),
        ({"mentions": ["1"] * 101}, InvalidPayload, "mentions"),
        ({"attachments": [str(n) for n in range(11)]}, InvalidPayload, "attachments"),
        ({"attachments": ["file"]}, NotFound, None),
        ({"client_id": "not-a-uuid"}, InvalidPayload, "id"),
        ({"client_id": ""}, InvalidPayload, "id"),
        ({"reply_to": "9" * 19}, NotFound, None),
        ({"reply_to": "-1"}, NotFound, None),
        ({"mentions": ["me"]}, NotFound, None),
    ],
)  # fmt: skip
def test_invalid_message_is_refused_with_its_field(
    fields: dict[str, Any], refusal: type[Refused], field: str | None
) -> None:
    with pytest.raises(refusal) as refused:
        drafted(**fields)

    assert refused.value.field == field


@pytest.mark.parametrize(
    "content", ["x" * 10_000, "👩" * 8_192, "\u3042" * 10_000], ids=["ascii", "32 KB of emoji", "kana"]
)
def test_longest_message_is_accepted(content: str) -> None:
    assert drafted(content=content).content == content


def test_file_limits_are_configurable(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, max_content_chars=5, max_mentions=1)

    assert drafted(content="12345", mentions=["1"]).mentions == (1,)
    with pytest.raises(ContentTooLong):
        drafted(content="123456")
    with pytest.raises(InvalidPayload):
        drafted(mentions=["1", "2"])


def test_client_id_accepts_any_uuid_form_and_mentions_are_deduplicated() -> None:
    made = drafted(client_id=CLIENT_ID.upper(), mentions=["7", "7", "8"])

    assert made.client_id == UUID(CLIENT_ID)
    assert made.mentions == (7, 8)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", False),
        ("whatever", False),
        ("x" * 10_000, False),
        (None, False),
    ],
)
def test_invalid_traceparent_is_ignored(sent: str | None, kept: bool) -> None:
    assert validation.trace_of(sent) == (sent if kept else None)
