"""Uploads by their rules: what is taken, in pieces and again, what is refused, who may look, what goes away."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import blocks
from chat.conversations import members
from chat.files import uploads
from chat.files.uploads import OutOfPlace, Piece
from chat.ids import AttachmentId, MessageId
from chat.messages import deletions
from chat.models import Attachment
from chat.refusals import AttachmentRejected, NotAMember
from gateway.bus import Event
from gateway.errors import Forbidden, FrameTooLarge, InvalidPayload, NotFound, RateLimited
from gateway.ids import ConversationId
from tests.chat.sessions import at_once
from tests.chat.uploads import TEXT, begun, examined, piece, png, ready, stored, upload
from tests.factories import Someone, direct, draft, group, someone, store

WHOLE = bytes(range(256)) * 40


def sent(person: Someone, chat: int, row: Attachment) -> int:
    """Send a file in a message and return the message's id."""
    (result,) = store([draft(person, ConversationId(chat), attachments=[str(row.id)])])
    assert result.outcome == "stored"
    return result.id


def test_file_is_uploaded_in_ordered_pieces() -> None:
    ada = someone()
    row = begun(ada, len(WHOLE))

    for start in range(0, len(WHOLE), 4000):
        assert row.status == "uploading"
        row = piece(ada, row, WHOLE, start, min(start + 4000, len(WHOLE)))

    assert (row.status, row.received) == ("scanning", len(WHOLE))
    assert stored(examined(row).key) == WHOLE


def test_repeated_piece_is_harmless_and_early_piece_is_refused_with_the_offset() -> None:
    ada = someone()
    row = begun(ada, len(WHOLE))
    piece(ada, row, WHOLE, 0, 4000)

    again = piece(ada, row, WHOLE, 0, 4000)
    for start in (8000, 2000):
        with pytest.raises(OutOfPlace) as refused:
            piece(ada, row, WHOLE, start, start + 2001)
        assert refused.value.received == 4000

    assert (again.received, len(again.parts)) == (4000, 1)
    row = piece(ada, row, WHOLE, 4000, len(WHOLE))
    assert piece(ada, row, WHOLE, 4000, len(WHOLE)).status == "scanning"
    assert stored(examined(row).key) == WHOLE


def test_concurrent_identical_pieces_count_once() -> None:
    ada = someone()
    row = begun(ada, len(WHOLE))

    found = at_once([lambda: piece(ada, row, WHOLE, 0, 5000)] * 6)

    assert {each.received for each in found} == {5000}
    row = Attachment.objects.get(id=row.id)
    assert (row.received, len(row.parts)) == (5000, 1)
    piece(ada, row, WHOLE, 5000, len(WHOLE))
    assert stored(examined(row).key) == WHOLE


def test_body_shorter_than_announced_is_refused() -> None:
    ada = someone()
    row = begun(ada, 100)

    for body in (b"x" * 49, b"x" * 51, b""):
        with pytest.raises(InvalidPayload):
            uploads.append(ada.id, AttachmentId(row.id), Piece(0, 50, 100), io.BytesIO(body))
    with pytest.raises(InvalidPayload):
        uploads.append(ada.id, AttachmentId(row.id), Piece(0, 50, 99), io.BytesIO(b"x" * 50))

    assert Attachment.objects.get(id=row.id).received == 0


def test_refused_media_type_is_detected_in_the_first_piece() -> None:
    ada = someone()
    row = begun(ada, 100, mime_type="image/png")

    with pytest.raises(AttachmentRejected):
        piece(ada, row, b"<html>" + b" " * 94, 0, 50)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_type_is_detected_across_small_first_pieces(first: int) -> None:
    ada, program = someone(), b"MZ\x90\0" + b"\0" * 100
    row = begun(ada, len(program))
    if first:
        row = piece(ada, row, program, 0, first)

    with pytest.raises(AttachmentRejected):
        piece(ada, row, program, row.received, len(program))


def test_image_type_is_detected_after_a_one_byte_piece() -> None:
    ada, whole = someone(), png()
    row = piece(ada, begun(ada, len(whole)), whole, 0, 1)

    row = piece(ada, row, whole, 1, len(whole))

    assert row.mime_type == "image/png"
    assert examined(row).thumbnail_key


def test_number_of_upload_pieces_is_bounded() -> None:
    ada = someone()
    row = begun(ada, 1000)
    for place in range(2 * uploads.SMALLER):
        row = piece(ada, row, b"x" * 1000, place, place + 1)

    with pytest.raises(InvalidPayload, match="too many pieces"):
        piece(ada, row, b"x" * 1000, row.received, 1000)


@pytest.mark.parametrize("said", ["a\0b", "text", "", "TEXT/plain; charset=utf-8", "a/" + "b" * 200])
def test_malformed_media_type_is_stored_as_unknown(said: str) -> None:
    row = begun(someone(), 10, mime_type=said)

    assert row.mime_type == ("text/plain" if said.startswith("TEXT") else "application/octet-stream")


def test_upload_size_is_bounded(settings: Settings) -> None:
    ada = someone()
    settings.LIMITS = replace(
        settings.LIMITS, max_attachment_bytes=1000, direct_upload_bytes=500, upload_chunk_bytes=300
    )

    upload(ada, b"x" * 500)
    row = begun(ada, 1000)
    piece(ada, row, b"x" * 1000, 0, 300)

    with pytest.raises(FrameTooLarge):
        upload(ada, b"x" * 501)
    with pytest.raises(AttachmentRejected):
        begun(ada, 1001)
    with pytest.raises(AttachmentRejected):
        begun(ada, 0)
    with pytest.raises(FrameTooLarge):
        piece(ada, row, b"x" * 1000, 300, 601)


@pytest.mark.parametrize(
    ("number", "value", "sizes"),
    [
        ("uploads_per_minute", 2, [1, 1, 1]),
        ("uploads_per_day", 2, [1, 1, 1]),
        ("upload_bytes_per_day", 100, [60, 40, 1]),
    ],
)
def test_uploads_are_limited_by_number_and_by_bytes(
    settings: Settings, number: str, value: int, sizes: list[int]
) -> None:
    ada = someone()
    settings.LIMITS = replace(settings.LIMITS, **{number: value})

    *fine, over = sizes
    for size in fine:
        begun(ada, size)
    with pytest.raises(RateLimited):
        begun(ada, over)
    begun(someone(), over)


def test_file_name_is_cleaned_and_its_storage_key_is_random() -> None:
    row = upload(someone(), name="../my\u202e secret.txt")

    assert row.name == "my secret.txt"
    assert "secret" not in row.key and row.key != upload(someone()).key


def test_file_is_attached_once_and_by_its_uploader_only() -> None:
    ada, bob = someone(), someone()
    chat, row = direct(ada, bob), ready(ada)

    outcomes = [store([draft(who, chat, attachments=[str(row.id)])])[0].outcome for who in (bob, ada, ada)]
    half = begun(ada, 10)

    assert outcomes == ["ATTACHMENT_REJECTED", "stored", "ATTACHMENT_REJECTED"]
    assert store([draft(ada, chat, attachments=[str(half.id)])])[0].outcome == "ATTACHMENT_REJECTED"


def test_file_visibility_follows_the_message() -> None:
    ada, bob, eve, late = someone(), someone(), someone(), someone()
    chat, row = group(ada, bob, eve), ready(ada)
    with pytest.raises(NotFound):
        uploads.look(bob.id, AttachmentId(row.id))
    members.remove(ada.id, chat, eve.id)
    sent(ada, chat, row)

    assert uploads.look(bob.id, AttachmentId(row.id)).id == uploads.look(ada.id, AttachmentId(row.id)).id == row.id
    for other in (eve, late):
        with pytest.raises(NotFound):
            uploads.look(other.id, AttachmentId(row.id))


def test_deletion_removes_the_files_of_the_message() -> None:
    ada, bob = someone(), someone()
    chat, row = direct(ada, bob), ready(ada)
    message = sent(ada, chat, row)

    deletions.delete(ada.id, MessageId(message))

    with pytest.raises(NotFound):
        uploads.look(bob.id, AttachmentId(row.id))


def test_cancelled_upload_removes_its_parts() -> None:
    ada, bob = someone(), someone()
    row = begun(ada, len(WHOLE))
    row = piece(ada, row, WHOLE, 0, 4000)

    with pytest.raises(NotFound):
        uploads.cancel(bob.id, AttachmentId(row.id))
    uploads.cancel(ada.id, AttachmentId(row.id))

    assert stored(row.parts[0]) is None
    with pytest.raises(NotFound):
        piece(ada, row, WHOLE, 4000, 8000)


def test_attached_file_cannot_be_cancelled() -> None:
    ada = someone()
    row = ready(ada)
    sent(ada, direct(ada, someone()), row)

    with pytest.raises(Forbidden):
        uploads.cancel(ada.id, AttachmentId(row.id))


def test_only_expired_own_files_can_be_uploaded_again() -> None:
    ada, bob = someone(), someone()
    row = ready(ada, png(), name="a.png")
    sent(ada, direct(ada, bob), row)
    with pytest.raises(Forbidden):
        begun(ada, len(TEXT), replaces=row.id)
    Attachment.objects.filter(id=row.id).update(status="expired", stored_at=timezone.now() - timedelta(days=40))
    with pytest.raises(NotFound):
        begun(bob, len(TEXT), replaces=row.id)

    again = begun(ada, len(TEXT), replaces=row.id)
    piece(ada, again, TEXT, 0, len(TEXT))

    assert again.id == row.id
    done = examined(again)
    assert (done.status, done.name, stored(done.key)) == ("ready", "large.bin", TEXT)
    assert (done.width, done.height, done.thumbnail_key) == (None, None, "")


def expired_in(chat: int, person: Someone) -> Attachment:
    """Return a file of a message, of which no bytes are left."""
    row = ready(person)
    sent(person, chat, row)
    Attachment.objects.filter(id=row.id).update(status="expired", stored_at=None)
    return row


def test_former_member_cannot_upload_into_an_old_message() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    early, late = expired_in(chat, bob), expired_in(chat, bob)
    half = piece(bob, begun(bob, len(TEXT), replaces=early.id), TEXT, 0, 5)
    members.remove(ada.id, chat, bob.id)

    with pytest.raises(NotAMember):
        begun(bob, len(TEXT), replaces=late.id)
    with pytest.raises(NotAMember):
        piece(bob, half, TEXT, 5, len(TEXT))

    assert Attachment.objects.get(id=late.id).status == "expired"


def test_file_uploaded_again_is_not_shown_across_a_block(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    row = expired_in(direct(ada, bob), ada)
    blocks.block(bob.id, ada.id)
    told.clear()

    again = begun(ada, len(TEXT), replaces=row.id)
    piece(ada, again, TEXT, 0, len(TEXT))

    assert again.id != row.id and examined(again).status == "ready"
    assert Attachment.objects.get(id=row.id).status == "expired"
    assert told == []
