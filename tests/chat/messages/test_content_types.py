"""Content types: what each must bring, and how it is kept (F11, F12)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from chat.messages import history, validation
from chat.models import Attachment
from gateway.errors import InvalidPayload, Refused
from gateway.ids import ConversationId, UserId
from tests.factories import direct, draft, group, say, someone, store

PLACE = {"latitude": 52.52, "longitude": 13.4}
POLL = {"question": "When?", "options": ["now", "later"]}


def drafted(content_type: str, data: Any = None, content: str = "", files: int = 0) -> dict[str, Any] | None:
    return validation.draft(
        conversation_id=ConversationId(1), sender_id=UserId(2), client_id=str(uuid4()), content=content, content_type=content_type, data=data,
        attachments=[str(n) for n in range(1, files + 1)],
    ).data  # fmt: skip


@pytest.mark.parametrize(
    ("content_type", "data", "kept"),
    [
        ("location", {**PLACE, "name": "Berlin", "other": 1}, {**PLACE, "name": "Berlin"}),
        ("location", {"latitude": -90, "longitude": 180}, {"latitude": -90.0, "longitude": 180.0}),
        ("contact", {"userId": "12"}, {"userId": "12"}),
        ("contact", {"name": "Ada", "phone": "+49 1", "email": "a@b.c"}, {"name": "Ada", "phone": "+49 1", "email": "a@b.c"}),
        ("poll", POLL, {
            "question": "When?", "multiple": False, "anonymous": False, "closed": False, "closesAt": None,
            "options": [{"text": "now", "count": 0, "userIds": []}, {"text": "later", "count": 0, "userIds": []}],
        }),
        ("poll", {**POLL, "multiple": True, "anonymous": True, "closesAt": "2999-01-01T01:00:00+01:00"}, {
            "question": "When?", "multiple": True, "anonymous": True, "closed": False, "closesAt": "2999-01-01T00:00:00.000Z",
            "options": [{"text": "now", "count": 0}, {"text": "later", "count": 0}],
        }),
    ],
)  # fmt: skip
def test_content_data_is_stored_in_the_form_of_its_type(content_type: str, data: Any, kept: Any) -> None:
    assert drafted(content_type, data) == kept
    assert drafted("voice", {"durationMs": 1, "waveform": [0, 255]}, files=1) == {"durationMs": 1, "waveform": [0, 255]}


LONG = "x" * 301
SOON = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("location", None), ("location", []), ("location", {"latitude": 91, "longitude": 0}),
        ("location", {"latitude": 1}), ("location", {"latitude": "1", "longitude": 2}),
        ("location", {"latitude": True, "longitude": 2}), ("location", {**PLACE, "name": ""}),
        ("location", {**PLACE, "name": "a\0"}), ("location", {**PLACE, "name": "\ud800"}), ("location", {**PLACE, "name": LONG}),
        ("location", {**PLACE, "name": " "}), ("location", {**PLACE, "name": None}),
        ("contact", {}), ("contact", {"phone": "1"}), ("contact", {"userId": "ada"}),
        ("poll", {"question": "?", "options": ["a"]}), ("poll", {"question": "?", "options": [str(n) for n in range(21)]}),
        ("poll", {"question": "?", "options": ["a", "a"]}), ("poll", {"question": "", "options": ["a", "b"]}),
        ("poll", {**POLL, "closesAt": SOON}), ("poll", {**POLL, "closesAt": "2999-01-01T00:00:00"}),
        ("poll", {**POLL, "closesAt": "9999-12-31T23:59:59-14:00"}), ("poll", {**POLL, "closesAt": 1}), ("text", {"a": 1}), ("e2ee", {"a": 1}),
    ],
)  # fmt: skip
def test_invalid_content_data_is_refused_with_its_field(content_type: str, data: Any) -> None:
    with pytest.raises(InvalidPayload) as refused:
        drafted(content_type, data, content="words")

    assert refused.value.field == "data"


@pytest.mark.parametrize(
    ("content_type", "files", "field"),
    [
        ("image", 0, "attachments"), ("video", 0, "attachments"), ("file", 0, "attachments"), ("voice", 0, "attachments"),
        ("voice", 2, "attachments"), ("location", 1, "attachments"), ("e2ee", 1, "attachments"), ("e2ee", 0, "content"),
        ("text", 0, "content"), ("system", 0, "contentType"), ("html", 0, "contentType"),
    ],
)  # fmt: skip
def test_text_and_files_must_fit_the_content_type(content_type: str, files: int, field: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        drafted(content_type, {"durationMs": 1} if content_type == "voice" else None, files=files)

    assert refused.value.field == field
    assert drafted("image", files=3) is None
    assert drafted("text", files=1) is None


def uploaded(owner: int, status: str = "ready") -> str:
    """Return the id of a file that a person has uploaded."""
    made = Attachment.objects.create(uploader_id=owner, name="a.txt", size=1, mime_type="text/plain", key=str(uuid4()), status=status)  # fmt: skip
    return str(made.pk)


def test_file_is_attached_once_and_by_its_uploader_only() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    mine, hers, rejected = uploaded(bob.id), uploaded(ada.id), uploaded(bob.id, "rejected")
    fresh = uploaded(bob.id)

    (stored, again, *others) = store(
        [draft(bob, chat, "", content_type="file", attachments=files)
         for files in ([mine, mine], [mine], [hers], [rejected], ["1"], [fresh, mine])]
    )  # fmt: skip

    assert [result.outcome for result in (stored, again, *others)] == ["stored"] + ["ATTACHMENT_REJECTED"] * 5
    shown = history.message_by_id(ada.viewer, stored.id).attachments
    assert [(file["id"], file["name"]) for file in shown] == [(mine, "a.txt")]


def test_content_data_is_read_back_as_sent() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    (stored,) = store([draft(ada, chat, "", content_type="location", data=PLACE)])

    assert history.message_by_id(bob.viewer, stored.id).data == PLACE
    assert history.message_by_id(bob.viewer, say(ada, chat).id).data is None


def test_empty_contact_card_is_refused() -> None:
    with pytest.raises(Refused):
        drafted("contact", {"email": "a@b.c"})
