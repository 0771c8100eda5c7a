"""What goes by the clock: uploads given up, files never sent, old originals and older thumbnails."""

import io
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.core.files.storage import storages
from django.utils import timezone
from pytest_django.fixtures import Settings

from chat.files import expiry, processing, storage
from chat.ids import MessageId
from chat.messages import deletions, history
from chat.models import Attachment
from gateway.bus import Event
from tests.chat.sessions import at_once
from tests.chat.uploads import TEXT, begun, examined, piece, png, ready, stored, upload
from tests.factories import Someone, direct, draft, someone, store


def aged(row: Attachment, **ago: float) -> Attachment:
    """Return a file whose times lie that far back."""
    at = timezone.now() - timedelta(**ago)
    Attachment.objects.filter(id=row.id).update(updated_at=at)
    Attachment.objects.filter(id=row.id, stored_at__isnull=False).update(stored_at=at)
    return Attachment.objects.get(id=row.id)


def sent(person: Someone, row: Attachment) -> int:
    (result,) = store([draft(person, direct(person, someone()), attachments=[str(row.id)])])
    return result.id


def of(person: Someone, message: int) -> dict[str, Any]:
    found: dict[str, Any] = history.message_by_id(person.viewer, MessageId(message)).attachments[0]
    return found


def test_abandoned_uploads_and_unsent_files_are_removed_after_a_day() -> None:
    ada = someone()
    half = piece(ada, begun(ada, 100), b"x" * 100, 0, 50)
    old = [half, upload(ada), ready(ada, png(), name="a.png")]
    young = [piece(ada, begun(ada, 100), b"x" * 100, 0, 50), upload(ada), ready(ada)]
    for row in old:
        aged(row, hours=25)
    for row in young:
        aged(row, hours=23)

    expiry.sweep()

    for row in old:
        assert not Attachment.objects.filter(id=row.id).exists()
        assert all(stored(key) is None for key in (row.key, row.thumbnail_key, *row.parts))
    assert Attachment.objects.filter(id__in=[row.id for row in young]).count() == 3
    assert stored(young[2].key) == TEXT and stored(young[0].parts[0])


def test_sweep_keeps_attached_files_and_removes_those_of_deleted_messages() -> None:
    ada = someone()
    kept, gone = ready(ada), ready(ada)
    sent(ada, kept)
    deletions.delete(ada.id, MessageId(sent(ada, gone)))
    for row in (kept, gone):
        aged(row, days=400)

    expiry.sweep()

    assert stored(kept.key) == TEXT
    assert stored(gone.key) is None and not Attachment.objects.filter(id=gone.id).exists()


def test_concurrent_sweep_and_send_leave_no_message_without_its_file() -> None:
    ada = someone()
    chat = direct(ada, someone())
    for _ in range(8):
        row = aged(ready(ada), hours=25)
        jobs: list[Callable[[], Any]] = [
            lambda row=row: store([draft(ada, chat, attachments=[str(row.id)])])[0].outcome,  # type: ignore[misc]
            expiry._loose,
        ]
        outcome, _ = at_once(jobs)
        left = Attachment.objects.filter(id=row.id).first()
        if outcome == "stored":
            assert left is not None and left.message_id is not None and stored(row.key) == TEXT
        else:
            assert (outcome, left, stored(row.key)) == ("ATTACHMENT_REJECTED", None, None)


def test_link_lifetime_is_configurable(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, orphan_seconds=3600)
    row = aged(ready(someone()), minutes=61)

    expiry.sweep()

    assert stored(row.key) is None


def test_expired_original_becomes_a_placeholder_with_thumbnail(settings: Settings, told: list[Event]) -> None:
    settings.LIMITS = replace(settings.LIMITS, attachment_days=30)
    ada = someone()
    picture, young = ready(ada, png(), name="a.png"), ready(ada)
    message = sent(ada, picture)
    sent(ada, young)
    aged(picture, days=31)
    aged(young, days=29)

    expiry.sweep()
    expiry.sweep()

    assert stored(picture.key) is None and stored(picture.thumbnail_key) and stored(young.key) == TEXT
    shown = of(ada, message)
    assert (shown["status"], shown["name"], shown["size"], shown["width"]) == ("expired", "a.png", picture.size, 60)
    assert shown["url"] is None and shown["thumbnailUrl"]
    frames = [msgspec.json.decode(event.frame) for event in told]
    updated = [f["payload"]["message"]["id"] for f in frames if f["type"] == "message.updated"]
    assert updated.count(str(message)) == 1


def test_thumbnails_have_their_own_lifetime(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, attachment_days=30, thumbnail_days=100)
    ada = someone()
    row = ready(ada, png(), name="a.png")
    message = sent(ada, row)

    aged(row, days=99)
    expiry.sweep()
    assert stored(row.thumbnail_key)
    aged(row, days=101)
    expiry.sweep()

    assert stored(row.thumbnail_key) is None
    assert (of(ada, message)["status"], of(ada, message)["thumbnailUrl"]) == ("expired", None)


def test_expired_thumbnails_are_removed_across_batches(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, attachment_days=30, thumbnail_days=100)
    monkeypatch.setattr(expiry, "BATCH", 1)
    ada = someone()
    files = [ready(ada, png(), name="a.png") for _ in range(3)]
    for row in files:
        sent(ada, row)
        aged(row, days=101)

    expiry.sweep()

    assert [stored(row.thumbnail_key) for row in files] == [None] * 3


@pytest.mark.parametrize("days", [1, 4000])
def test_files_are_kept_for_good_without_a_lifetime(days: int) -> None:
    ada = someone()
    row = ready(ada)
    sent(ada, row)
    aged(row, days=days)

    expiry.sweep()

    assert stored(row.key) == TEXT


# What readers are told of the files of the next test.
SENT_AGAIN = [["expired", "uploading", "scanning", "ready"], ["expired", "uploading", "expired"]]


def test_expired_file_is_uploaded_again_or_stays_expired(settings: Settings, told: list[Event]) -> None:
    settings.LIMITS = replace(settings.LIMITS, attachment_days=30)
    ada = someone()
    again, given_up = ready(ada), ready(ada)
    messages = [sent(ada, again), sent(ada, given_up)]
    aged(again, days=31)
    aged(given_up, days=31)
    expiry.sweep()
    assert [of(ada, message)["status"] for message in messages] == ["expired", "expired"]

    row = piece(ada, begun(ada, len(TEXT), replaces=again.id), TEXT, 0, len(TEXT))
    row = examined(row)
    half = piece(ada, begun(ada, len(TEXT), replaces=given_up.id), TEXT, 0, 5)
    aged(half, hours=25)
    expiry.sweep()

    assert (of(ada, messages[0])["status"], stored(row.key)) == ("ready", TEXT)
    assert (of(ada, messages[1])["status"], stored(half.parts[0])) == ("expired", None)
    frames = [msgspec.json.decode(event.frame)["payload"].get("message") for event in told]
    for message, states in zip(messages, SENT_AGAIN, strict=True):
        mine = [each for each in frames if each and each["id"] == str(message) and each["rev"] > 1]
        assert [each["attachments"][0]["status"] for each in mine] == states


def test_unreferenced_stored_bytes_are_removed_after_a_day() -> None:
    ada = someone()
    picture, half = ready(ada, png(), name="a.png"), piece(ada, begun(ada, 10), b"x" * 10, 0, 5)
    prefix, stray, young = picture.key[:2], f"{picture.key}.0badcafe", f"{picture.key[:2]}/{'0' * 40}"
    Attachment.objects.filter(id=half.id).update(key=f"{prefix}/{half.id}", parts=[f"{prefix}/{half.id}.0"])
    for key in (stray, young, f"{prefix}/{half.id}.0", f"{prefix}/{'1' * 40}"):
        storage.save(key, io.BytesIO(TEXT))
    for file in storages["attachments"].listdir(prefix)[1]:
        if file not in young:
            os.utime(storage.local(f"{prefix}/{file}") or "", (0, 0))

    assert expiry.remove_strays(prefix) >= 2

    assert stored(stray) is None and stored(f"{prefix}/{'1' * 40}") is None
    assert stored(young) == stored(f"{prefix}/{half.id}.0") == TEXT
    assert stored(picture.key) and stored(picture.thumbnail_key)
    storage.drop(young)
    assert expiry.remove_strays("zz") == 0


def test_scratch_files_of_a_killed_worker_are_removed() -> None:
    old, busy = (processing.scratch_folder() / secrets.token_hex(4) for _ in range(2))
    for folder in (old, busy):
        folder.mkdir()
        (folder / "whole").write_bytes(b"x")
    os.utime(old, (0, 0))

    expiry.sweep()

    assert not old.exists() and busy.exists()
    shutil.rmtree(busy)
