"""Between the last byte and the first reader: the scanner's verdict, safe pictures, what readers are told, what dies halfway."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import IO

import msgspec
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from chat.files import processing, uploads
from chat.files.scanning import Clamd, Scanner, Verdict
from chat.ids import AttachmentId, MessageId
from chat.messages import deletions, history
from chat.models import Attachment
from gateway.bus import Event
from gateway.ids import ConversationId
from tests.chat import rows
from tests.chat.clamd import EICAR, Daemon, running
from tests.chat.files.test_images import SECRET, encoded, exif
from tests.chat.sessions import at_once
from tests.chat.uploads import TEXT, examined, png, ready, stored, upload
from tests.factories import Someone, direct, draft, someone, store


def sent(person: Someone, chat: int, row: Attachment) -> int:
    (result,) = store([draft(person, ConversationId(chat), attachments=[str(row.id)])])
    return result.id


def updates(told: list[Event]) -> list[dict[str, object]]:
    """Return the attachments of each `message.updated` that was told."""
    frames = [msgspec.json.decode(event.frame) for event in told]
    return [f["payload"]["message"]["attachments"][0] for f in frames if f["type"] == "message.updated"]


def test_clean_file_becomes_ready_and_malware_is_deleted() -> None:
    ada = someone()
    fine, bad = upload(ada), upload(ada, b"look: " + EICAR, name="a.txt")
    with running(Daemon()) as daemon:
        fine, bad = examined(fine, Clamd(daemon.address)), examined(bad, Clamd(daemon.address))

    assert (fine.status, stored(fine.key)) == ("ready", TEXT)
    assert (bad.status, stored(bad.key), bad.parts) == ("rejected", None, [])
    seen = uploads.wire(bad)
    assert seen.url is None and seen.thumbnail_url is None
    assert store([draft(ada, direct(ada, someone()), attachments=[str(bad.id)])])[0].outcome == "ATTACHMENT_REJECTED"


def test_file_link_is_published_after_the_verdict(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat, row = direct(ada, bob), upload(ada, png(), name="a.png")
    message = sent(ada, chat, row)
    before = history.message_by_id(bob.viewer, MessageId(message))

    row = examined(row)

    assert (before.attachments[0]["status"], before.attachments[0]["url"]) == ("scanning", None)
    (shown,) = updates(told)
    assert shown == history.message_by_id(bob.viewer, MessageId(message)).attachments[0]
    assert (shown["status"], shown["width"], shown["height"]) == ("ready", 60, 40)
    assert str(shown["url"]).startswith(f"/api/v1/attachments/{row.id}/content?kind=file&")
    assert str(shown["thumbnailUrl"]).startswith(f"/api/v1/attachments/{row.id}/content?kind=thumbnail&")
    assert shown.keys() == {"id", "name", "size", "mimeType", "status", "width", "height", "url", "thumbnailUrl"}
    assert history.message_by_id(bob.viewer, MessageId(message)).rev == rows.counters(chat)[1] == before.rev + 1


def test_rejection_of_an_attached_file_is_published(told: list[Event]) -> None:
    ada = someone()
    chat, row = direct(ada, someone()), upload(ada, EICAR)
    sent(ada, chat, row)
    with running(Daemon()) as daemon:
        examined(row, Clamd(daemon.address))

    assert [(file["status"], file["url"]) for file in updates(told)] == [("rejected", None)]


def test_file_of_a_message_deleted_during_processing_is_removed(told: list[Event]) -> None:
    ada = someone()
    chat, row = direct(ada, someone()), upload(ada)
    deletions.delete(ada.id, MessageId(sent(ada, chat, row)))
    rev = rows.counters(chat)[1]

    row = examined(row)

    assert (row.status, stored(row.key), rows.counters(chat)[1]) == ("expired", None, rev)
    assert updates(told) == []


def test_file_is_ready_without_a_scanner() -> None:
    assert examined(upload(someone()), None).status == "ready"


def test_file_is_retried_while_the_scanner_is_unavailable() -> None:
    ada, daemon = someone(), Daemon()
    row, away = upload(ada), Clamd(daemon.address)
    daemon.listener.close()

    for wait in (1, 5, 30, 300, 3600, 3600):
        Attachment.objects.filter(id=row.id).update(due_at=timezone.now())
        began = timezone.now()
        work_off_one(row, away)
        row = Attachment.objects.get(id=row.id)
        assert row.status == "scanning" and row.due_at is not None
        assert timedelta(seconds=wait - 1) < row.due_at - began < timedelta(seconds=wait + 30)

    assert uploads.wire(row).url is None
    assert examined(row).status == "ready"


def work_off_one(row: Attachment, scanner: Scanner) -> None:
    """Work off what is due: this file alone, the others of the test database are put off."""
    Attachment.objects.exclude(id=row.id).filter(status="scanning").update(due_at=timezone.now() + timedelta(days=1))
    processing.process_due(scanner)


def test_concurrent_verdict_and_send_show_the_file() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    for _ in range(8):
        row = upload(ada)
        jobs: list[Callable[[], object]] = [
            lambda row=row: store([draft(ada, chat, attachments=[str(row.id)])])[0],  # type: ignore[misc]
            lambda row=row: examined(row),  # type: ignore[misc]
        ]
        at_once(jobs)

    page, _ = history.page(bob.viewer, chat, limit=50)
    shown = [message.attachments[0] for message in page.messages]
    assert len(shown) == 8
    assert {(file["status"], file["url"] is not None) for file in shown} == {("ready", True)}
    revs = sorted(message.rev for message in page.messages)
    assert len(set(revs)) == 8 and revs[-1] == rows.counters(chat)[1]


def test_concurrent_verdict_and_deletion_leave_a_tombstone_without_file() -> None:
    ada = someone()
    chat = direct(ada, someone())
    for _ in range(8):
        row = upload(ada)
        message = sent(ada, chat, row)
        jobs: list[Callable[[], object]] = [
            lambda message=message: deletions.delete(ada.id, message),  # type: ignore[misc]
            lambda row=row: examined(row),  # type: ignore[misc]
        ]
        at_once(jobs)
        row = Attachment.objects.get(id=row.id)
        left = history.message_by_id(ada.viewer, MessageId(message))
        assert (left.status, left.attachments, row.status, row.message_id) == ("deleted", [], "expired", None)


def test_several_workers_process_each_file_once() -> None:
    ada = someone()
    files = [upload(ada) for _ in range(6)]

    at_once([lambda: processing._all_due(None)] * 3)

    found = list(Attachment.objects.filter(id__in=[row.id for row in files]))
    assert {(row.status, row.attempts) for row in found} == {("ready", 1)}


def test_worker_processes_one_file_at_a_time_and_misses_none() -> None:
    ada = someone()
    first = upload(ada)
    meanwhile: list[Attachment] = []
    returned: list[int] = []

    class Watched:
        """Judges everything to be clean; at the first file another one comes, and another thread is told of it."""

        def scan(self, source: IO[bytes]) -> Verdict:
            if not meanwhile:
                meanwhile.append(upload(ada))
                returned.extend(at_once([lambda: processing.process_due(None)]))
            return Verdict(clean=True)

    work_off_one(first, Watched())

    assert returned == [0]
    assert {Attachment.objects.get(id=row.id).status for row in (first, *meanwhile)} == {"ready"}


def test_file_of_a_killed_worker_is_processed_by_the_next() -> None:
    row = upload(someone())
    claimed = processing._claim()
    while claimed is not None and claimed.id != row.id:
        claimed = processing._claim()
    assert claimed is not None and processing._claim() is None

    Attachment.objects.filter(id=row.id).update(due_at=timezone.now())
    processing.process_due(None)

    row = Attachment.objects.get(id=row.id)
    assert (row.status, row.attempts, stored(row.key)) == ("ready", 2, TEXT)


def test_upload_cancelled_during_a_piece_leaves_nothing() -> None:
    ada = someone()
    row = upload(ada)
    uploads.cancel(ada.id, AttachmentId(row.id))

    row.attempts = 1
    processing._write_verdict(row, status="ready", key="aa/never")

    assert not Attachment.objects.filter(id=row.id).exists()


def test_image_metadata_is_removed_before_download() -> None:
    raw = encoded("JPEG", exif=exif(), comment=SECRET)
    row = upload(someone(), raw, name="garden.jpg", mime_type="image/jpeg")
    (part,) = row.parts

    row = examined(row)

    kept = stored(row.key)
    assert kept is not None and SECRET not in kept and b"Exif" not in kept
    assert (row.size, row.width, row.height) == (len(kept), 200, 300)
    assert stored(row.thumbnail_key) and stored(part) is None


def test_decompression_bomb_is_rejected(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, max_image_pixels=60 * 40)
    ada = someone()

    assert examined(upload(ada, png(60, 40), name="a.png")).status == "ready"
    assert examined(upload(ada, png(61, 40), name="a.png")).status == "rejected"


def test_non_image_has_no_thumbnail_and_no_pixel_size() -> None:
    seen = uploads.wire(ready(someone()))

    assert (seen.thumbnail_url, seen.width, seen.height, seen.mime_type) == (None, None, None, "text/plain")


def test_identical_files_are_stored_separately() -> None:
    """F224: who has what cannot be found out by sending it."""
    one, other = ready(someone()), ready(someone())

    assert one.key != other.key and stored(one.key) == stored(other.key)


@pytest.mark.parametrize("size", [1, 70_000])
def test_storage_returns_bytes_of_any_size_unchanged(size: int) -> None:
    body = b"\x01\x80" * size

    assert stored(ready(someone(), body).key) == body
    assert io.BytesIO(body).read(1)
