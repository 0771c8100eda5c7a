"""Removal of files: never sent, expired, or of a deleted message (F222, F223, K33).

A message keeps what its file was (name, size, type, dimensions) and says that it has expired; its sender can upload it
again. Files under a hold stay. All of it runs by the clock and may run twice.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from chat.files import processing, storage
from chat.ids import MessageId
from chat.messages import changes
from chat.models import Attachment
from gateway.ids import ConversationId
from holds import holds

Status = Attachment.Status
BATCH = 200


def sweep() -> int:
    """Remove the files that are due; return their number."""
    _remove_scratch()
    return (
        _loose() + _unfinished() + _originals() + _thumbnails() + remove_strays(f"{int(time.time()) // 3600 % 256:02x}")
    )


def _not_held(rows: QuerySet[Attachment]) -> QuerySet[Attachment]:
    """Leave out the files that a hold covers: by their conversation or their uploader."""
    return rows.exclude(holds.covering(conversation="conversation_id", user="uploader_id"))


def _batch(rows: QuerySet[Attachment]) -> Sequence[Attachment]:
    """Lock and return some of the rows that no hold covers; a hold that is being set is waited for."""
    holds.wait_for_new_holds()
    return list(_not_held(rows).select_for_update(skip_locked=True)[:BATCH])


def _loose() -> int:
    """Files in no message: uploads that were given up, files never sent, and those of deleted messages. attachment_loose."""
    gone, until = 0, timezone.now() - timedelta(seconds=settings.LIMITS.orphan_seconds)
    while True:
        with transaction.atomic():
            rows = _batch(Attachment.objects.filter(message_id=None, updated_at__lt=until))
            for row in rows:
                transaction.on_commit(partial(storage.drop, row.key, row.thumbnail_key, *row.parts))
            Attachment.objects.filter(id__in=[row.id for row in rows]).delete()
        gone += len(rows)
        if len(rows) < BATCH:
            return gone


def _unfinished() -> int:
    """Expired files whose upload was begun anew and given up: expired again. Index: attachment_loose."""
    until = timezone.now() - timedelta(seconds=settings.LIMITS.orphan_seconds)
    due = Attachment.objects.filter(~Q(message_id=None), status=Status.UPLOADING, updated_at__lt=until)
    return sum(_expire(row) for row in _not_held(due).order_by("updated_at")[: 10 * BATCH])


def _originals() -> int:
    """Expire files older than `attachment_days` and publish their messages, which then show a placeholder."""
    days = settings.LIMITS.attachment_days
    if not days:
        return 0
    due = Attachment.objects.filter(status=Status.READY, stored_at__lt=timezone.now() - timedelta(days=days))
    return sum(_expire(row) for row in _not_held(due).order_by("stored_at")[: 10 * BATCH])


def _expire(row: Attachment) -> bool:
    """Remove a file's bytes but not its thumbnail, and publish its message; a row that has changed meanwhile stays."""
    with transaction.atomic():
        if row.conversation_id and row.message_id:
            changes.lock_conversation(ConversationId(row.conversation_id))
        now = Attachment.objects.select_for_update().filter(id=row.id, updated_at=row.updated_at).first()
        if now is None or now.message_id != row.message_id:
            return False
        if holds.covers(conversation_id=now.conversation_id, user_id=now.uploader_id):
            return False
        _set([now], status=Status.EXPIRED, parts=[], **({} if now.thumbnail_key else {"stored_at": None}))
        transaction.on_commit(partial(storage.drop, now.key, *now.parts))
        if now.conversation_id and now.message_id:
            changes.refresh(ConversationId(now.conversation_id), MessageId(now.message_id))
    return True


def _thumbnails() -> int:
    """Remove thumbnails of expired files, older than `thumbnail_days`. Nothing is published: the next read shows it."""
    gone, until = 0, timezone.now() - timedelta(days=settings.LIMITS.thumbnail_days)
    while True:
        with transaction.atomic():
            rows = _batch(Attachment.objects.filter(status=Status.EXPIRED, stored_at__lt=until))
            for row in rows:
                transaction.on_commit(partial(storage.drop, row.key, row.thumbnail_key))
            _set(rows, stored_at=None, thumbnail_key="")
        gone += len(rows)
        if len(rows) < BATCH:
            return gone


def remove_strays(prefix: str) -> int:
    """Bytes that no row knows, left by a process that died at the wrong moment: one 256th of the depot an hour.

    Only what is older than a day: a part is stored before its row says so. Index: the unique key.
    """
    keys = storage.older_than(timezone.now() - timedelta(days=1), prefix)
    owners = Attachment.objects.filter(key__in={storage.base_of(key) for key in keys})
    known = {key for row in owners for key in (row.key, row.thumbnail_key, *row.parts)}
    gone = [key for key in keys if key not in known]
    storage.drop(*gone)
    return len(gone)


def _remove_scratch() -> None:
    """Remove scratch files of killed workers."""
    until = time.time() - timedelta(days=1).total_seconds()
    for folder in processing.scratch_folder().iterdir():
        # One that is gone meanwhile was a worker's that has just done with it.
        with suppress(FileNotFoundError):
            if folder.stat().st_mtime < until:
                shutil.rmtree(folder, ignore_errors=True)


def _set(rows: Sequence[Attachment], **values: object) -> None:
    ids = [row.id for row in rows]
    Attachment.objects.filter(id__in=ids).update(**values, updated_at=timezone.now())
