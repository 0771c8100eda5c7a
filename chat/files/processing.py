"""Files are examined once they have arrived: scanned, images cleaned, thumbnails made; then shown, or never (F221).

A row with the status `scanning` is its own place in the queue: `due_at` says when it is begun, and is set ahead while
somebody is at it, so that a worker that dies leaves it to the next. No lock is held meanwhile. Each file fails alone.
"""

import logging
import tempfile
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat.files import images, scanning, storage
from chat.files.images import BadImage
from chat.files.scanning import Scanner, ScannerUnavailable
from chat.ids import MessageId
from chat.messages import changes
from chat.models import Attachment
from gateway.ids import ConversationId
from outbox.jobs import LADDER
from outbox.nudge import Nudger
from outbox.single_flight import SingleFlight

logger = logging.getLogger(__name__)
Status = Attachment.Status
# Longer than the largest file takes; so long a file waits whose worker has died.
LEASE = timedelta(minutes=15)


class Rejected(Exception):
    """Nobody gets this file, for the reason named."""


EXAMINE_TASK = "chat.tasks.examine_attachments"
# A process examines one file at a time, so that its other threads are free for other work.
_flight = SingleFlight()
_ending = threading.Event()
_nudger = Nudger(EXAMINE_TASK)


def schedule() -> None:
    """Have the files that have arrived examined soon. From any thread; never blocks, never raises."""
    _nudger.nudge()


def process_due(scanner: Scanner | None) -> int:
    """Process the due files, one after the other; return the number of verdicts.

    Where another thread of this process is at it, that one sees what is new, and this one returns at once.
    """
    return _flight.run(partial(_all_due, scanner))


def stop() -> None:
    """Begin no other file and give up the one that is being scanned: this process ends, and another one takes both."""
    _ending.set()
    scanning.abort_scans()


def _all_due(scanner: Scanner | None) -> int:
    done = 0
    while not _ending.is_set() and (row := _claim()) is not None:
        done += _process(row, scanner)
    return done


def _claim() -> Attachment | None:
    """Take the next file that is due, and put off its next try. Index: attachment_due."""
    now = timezone.now()
    with transaction.atomic():
        waiting = Attachment.objects.filter(status=Status.SCANNING, due_at__lte=now).order_by("due_at")
        row = waiting.select_for_update(skip_locked=True).first()
        if row is not None:
            row.attempts, row.due_at = row.attempts + 1, now + LEASE
            row.save(update_fields=["attempts", "due_at"])
        return row


def _process(row: Attachment, scanner: Scanner | None) -> bool:
    try:
        with tempfile.TemporaryDirectory(dir=scratch_folder()) as scratch:
            _write_verdict(row, **_result(row, scanner, Path(scratch)))
    except Rejected as fault:
        logger.warning("attachment %s rejected: %s", row.id, fault)
        _write_verdict(row, status=Status.REJECTED, thumbnail_key="")
    except (ScannerUnavailable, OSError) as fault:
        _postpone(row)
        logger.warning("attachment %s waits, tried again later: %s", row.id, fault)
        return False
    except Exception:
        _postpone(row)
        logger.exception("attachment %s could not be examined, tried again later", row.id)
        return False
    return True


def scratch_folder() -> Path:
    """Return the folder for files in work; only a killed worker leaves files there."""
    folder = Path(settings.VAR) / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _postpone(row: Attachment) -> None:
    wait = timedelta(seconds=LADDER[min(row.attempts, len(LADDER)) - 1])
    Attachment.objects.filter(id=row.id, status=Status.SCANNING).update(due_at=timezone.now() + wait)


def _result(row: Attachment, scanner: Scanner | None, scratch: Path) -> dict[str, Any]:
    """Return the columns of a file that is ready, its bytes stored. Raises Rejected, ScannerUnavailable."""
    whole = scratch / "whole"
    with whole.open("wb") as target:
        for part in row.parts:
            storage.copy(part, target)
    if scanner is not None:
        with whole.open("rb") as source:
            verdict = scanner.scan(source)
        if not verdict.clean:
            raise Rejected(verdict.reason)
    # A try that failed in the middle may have left something under the row's own key.
    values: dict[str, Any] = {"status": Status.READY, "key": storage.new_key(), "thumbnail_key": ""}
    if row.mime_type not in images.FORMATS:
        _store_bytes(values["key"], whole)
        return values
    try:
        picture = images.processed(whole, row.mime_type, scratch, most_pixels=settings.LIMITS.max_image_pixels)
    except BadImage as fault:
        raise Rejected(f"image: {fault}") from fault
    values |= {"thumbnail_key": storage.thumbnail_of(values["key"]), "width": picture.width, "height": picture.height}
    values["size"] = values["received"] = picture.file.stat().st_size
    _store_bytes(values["key"], picture.file)
    _store_bytes(values["thumbnail_key"], picture.thumbnail)
    return values


def _store_bytes(key: str, file: Path) -> None:
    with file.open("rb") as source:
        storage.save(key, source)


def _write_verdict(row: Attachment, **values: Any) -> None:
    """Write the verdict and publish the file's message. The conversation is locked before the file, as in a send."""
    while not _written(row, **values):
        pass


def _written(row: Attachment, **values: Any) -> bool:
    """Write the verdict, unless the file was bound to a message in this moment: that is seen the next time."""
    with transaction.atomic():
        place = Attachment.objects.filter(id=row.id).values_list("conversation_id", "message_id").first()
        if place and place[0] and place[1]:
            changes.lock_conversation(ConversationId(place[0]))
        now = Attachment.objects.select_for_update().filter(id=row.id).first()
        if now is not None and (now.conversation_id, now.message_id) != place:
            return False
        if now is None or now.status != Status.SCANNING or now.parts != row.parts:
            # Cancelled, deleted with its message, or done by another worker meanwhile.
            storage.drop(*(values[name] for name in ("key", "thumbnail_key") if name in values))
            return True
        at = timezone.now()
        stored_at = at if values["status"] == Status.READY else None
        Attachment.objects.filter(id=row.id).update(**values, parts=[], due_at=None, updated_at=at, stored_at=stored_at)
        transaction.on_commit(lambda: storage.drop(*now.parts, now.thumbnail_key))
        if now.conversation_id and now.message_id:
            changes.refresh(ConversationId(now.conversation_id), MessageId(now.message_id))
    return True
