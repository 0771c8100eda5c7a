"""Uploads: begin, append a piece, cancel, read. chat/files/processing.py processes complete files.

A file is kept as the parts in which it came until it has been examined, so that a broken upload goes on where it was,
and so that it does not matter on which machine each part arrives.
"""

import io
import logging
import math
import tempfile
from functools import partial
from typing import IO, Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from chat import links
from chat.access import member_of
from chat.bodies.files import AttachmentObject
from chat.files import filenames, media_types, processing, storage
from chat.files.storage import StorageUnavailable
from chat.frames import wire_time
from chat.ids import AttachmentId, MessageId
from chat.messages import changes
from chat.models import Attachment
from chat.refusals import AttachmentRejected
from chat.visibility import VISIBLE
from gateway import limits
from gateway.errors import Conflict, Forbidden, FrameTooLarge, InvalidPayload, NotFound, Overloaded, Refused
from gateway.ids import ConversationId, UserId
from gateway.limits import Charge, Window
from holds import holds

Status = Attachment.Status
MINUTE, DAY = 60, 86400
logger = logging.getLogger(__name__)
# So much smaller than they might be, on average, the pieces of a file may come.
SMALLER = 16
# The storage is full or away: nobody knows for how long.
RETRY_SECONDS = 30
AGAIN = "only a file that has expired in its message can be sent again"
# A file is visible to everybody who may see its message. Indexes: the key of attachment, message_id of one partition.
SEEN = f"""
SELECT EXISTS (
    SELECT FROM chat_message m JOIN chat_conversation c ON c.id = m.conversation_id
    WHERE m.conversation_id = %(conversation)s AND m.id = %(message)s AND %(id)s = ANY (m.attachments)
      AND m.status <> 'deleted' AND {VISIBLE})
"""  # noqa: S608


class OutOfPlace(Conflict):
    """The upload goes on at another byte."""

    def __init__(self, received: int) -> None:
        self.received = received
        super().__init__(f"go on at byte {received}", field="received")


class Piece(NamedTuple):
    """A part of a file as `Content-Range` names it: the first byte's place, the place after the last, the whole size."""

    start: int
    end: int
    total: int


def begin(
    user_id: UserId, *, name: str, size: int, mime_type: str = media_types.UNKNOWN, replaces: int | None = None
) -> Attachment:
    """Begin an upload of `size` bytes, or begin anew that of one's own expired file (F222), where the messages list it.

    Raises AttachmentRejected, RateLimited, NotFound, NotAMember, Forbidden.
    """
    most = settings.LIMITS.max_attachment_bytes
    if not 1 <= size <= most:
        raise AttachmentRejected(f"a file has 1 to {most} bytes", field="size")
    _charge(user_id, size)
    values = {"name": filenames.cleaned(name), "size": size, "mime_type": media_types.declared_type(mime_type)}
    if replaces is not None:
        return _begin_again(user_id, AttachmentId(replaces), **values)
    return Attachment.objects.create(uploader_id=user_id, key=storage.new_key(), **values)


def _charge(user_id: UserId, size: int) -> None:
    """F290, F291, K20: so many a minute and a day, and so many bytes a day."""
    numbers = settings.LIMITS
    counts = (
        Window(numbers.uploads_per_minute / MINUTE, numbers.uploads_per_minute),
        Window(numbers.uploads_per_day / DAY, numbers.uploads_per_day),
    )
    amount = (Window(numbers.upload_bytes_per_day / DAY, numbers.upload_bytes_per_day),)
    key = f"ratelimit:{user_id}:upload"
    for ask in (Charge(key, counts), Charge(f"{key}-bytes", amount, cost=size)):
        limits.raise_if_limited(limits.charge_in_thread([ask])[0])


def _begin_again(user_id: UserId, attachment_id: AttachmentId, **values: Any) -> Attachment:
    """Begin the upload of an expired file again, as a current member. If the other side blocks the uploader, an unattached file is created instead."""
    with transaction.atomic():
        place = _own(user_id, attachment_id, lock=False)
        if place.message_id is None:
            raise Forbidden(AGAIN)
        message = changes.lock_live_message(user_id, MessageId(place.message_id))
        row = _own(user_id, attachment_id)
        if row.status != Status.EXPIRED:
            raise Forbidden(AGAIN)
        if message.blocked_in_direct_chat:
            return Attachment.objects.create(uploader_id=user_id, key=storage.new_key(), **values)
        now = timezone.now()
        values |= {
            "status": Status.UPLOADING,
            "received": 0,
            "key": storage.new_key(),
            "attempts": 0,
            "updated_at": now,
        }
        return _changed(row, **values, width=None, height=None)


def store(user_id: UserId, name: str, mime_type: str, source: IO[bytes], size: int) -> Attachment:
    """Take a whole file at once. Raises FrameTooLarge, AttachmentRejected, RateLimited, Overloaded."""
    if size > settings.LIMITS.direct_upload_bytes:
        raise FrameTooLarge(f"at most {settings.LIMITS.direct_upload_bytes} bytes at once: send larger files in chunks")
    row = begin(user_id, name=name, size=size, mime_type=mime_type)
    try:
        return _add(row, source, Piece(0, size, size))
    except Refused:
        # Its sender has no id of it to go on with.
        Attachment.objects.filter(id=row.id).delete()
        raise


def append(user_id: UserId, attachment_id: AttachmentId, piece: Piece, body: IO[bytes]) -> Attachment:
    """Take the next piece of one's upload; one that has arrived already changes nothing.

    Raises NotFound, NotAMember where it is to go into a message of others, OutOfPlace with the byte to go on at,
    InvalidPayload, FrameTooLarge, Overloaded while the bytes cannot be kept, and AttachmentRejected once the beginning shows that the file is not taken.
    """
    row = _own(user_id, attachment_id)
    if row.message_id is not None and row.conversation_id is not None:
        member_of(user_id, ConversationId(row.conversation_id))
    if piece.total != row.size:
        raise InvalidPayload(f"the file has {row.size} bytes", field="Content-Range")
    if piece.end <= row.received:
        return row
    if row.status != Status.UPLOADING or piece.start != row.received:
        raise OutOfPlace(row.received)
    length = piece.end - piece.start
    if length > settings.LIMITS.upload_chunk_bytes:
        raise FrameTooLarge(f"at most {settings.LIMITS.upload_chunk_bytes} bytes a chunk")
    if len(row.parts) >= _most_parts(row.size):
        raise InvalidPayload(
            f"too many pieces: send them of {settings.LIMITS.upload_chunk_bytes} bytes", field="Content-Range"
        )
    with tempfile.TemporaryFile() as whole:
        # One byte more than announced is enough to know that it is wrong.
        while whole.tell() <= length and (part := body.read(min(storage.COPY_BYTES, length + 1 - whole.tell()))):
            whole.write(part)
        if whole.tell() != length:
            raise InvalidPayload(f"{length} bytes were announced", field="Content-Range")
        return _add(row, whole, piece)


def _add(row: Attachment, source: IO[bytes], piece: Piece) -> Attachment:
    """Store a part outside of any lock, then add it to its file, unless another request was faster."""
    part = storage.part_of(row.key)
    try:
        mime_type = _type(row, source, piece)
        storage.save(part, source)
    except StorageUnavailable as fault:
        logger.warning("attachment %s: a piece could not be kept (%s)", row.id, fault)
        raise Overloaded("files cannot be kept at the moment", retry_after=RETRY_SECONDS) from fault
    whole = piece.end == row.size
    with transaction.atomic():
        if whole:
            _lock_place(row)
        now, row = timezone.now(), Attachment.objects.select_for_update().filter(id=row.id).first() or _gone(part)
        if row.status == Status.UPLOADING and row.received == piece.start and part.startswith(row.key):
            return _changed(
                row,
                parts=[*row.parts, part],
                received=piece.end,
                mime_type=mime_type,
                updated_at=now,
                **({"status": Status.SCANNING, "due_at": now} if whole else {}),
            )
    storage.drop(part)
    if piece.end <= row.received:
        return row
    raise OutOfPlace(row.received)


def _type(row: Attachment, source: IO[bytes], piece: Piece) -> str:
    """Return the type that the bytes so far show: a file whose beginning comes in small pieces is looked at each time."""
    if piece.start >= media_types.HEAD_BYTES:
        return row.mime_type
    head = io.BytesIO()
    for part in row.parts:
        storage.copy(part, head)
    source.seek(0)
    head.write(source.read(media_types.HEAD_BYTES))
    return media_types.detect(head.getvalue()[: media_types.HEAD_BYTES], row.mime_type)


def _most_parts(size: int) -> int:
    """Return in how many pieces a file may come: each is an object in the depot and an entry of its row."""
    return SMALLER * (1 + math.ceil(size / settings.LIMITS.upload_chunk_bytes))


def _gone(part: str) -> Attachment:
    storage.drop(part)
    raise NotFound


def _changed(row: Attachment, **values: Any) -> Attachment:
    """Write columns of a locked row; an upload that is complete is examined once this is committed.

    Where the file is in a message already, its readers are told of a new status.
    """
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=list(values))
    if "status" in values and row.conversation_id and row.message_id:
        changes.refresh(ConversationId(row.conversation_id), MessageId(row.message_id))
    if row.status == Status.SCANNING:
        transaction.on_commit(processing.schedule)
    return row


def cancel(user_id: UserId, attachment_id: AttachmentId) -> None:
    """Forget one's upload, or a file that was never sent. Raises NotFound, and Forbidden for one in a message."""
    with transaction.atomic():
        row = _own(user_id, attachment_id)
        if row.message_id is not None:
            raise Forbidden("this file is in a message: delete the message")
        if holds.covers(user_id=user_id, conversation_id=row.conversation_id):
            # The sweep removes it once the hold has ended.
            Attachment.objects.filter(id=row.id).update(status=Status.EXPIRED, updated_at=timezone.now())
            return
        row.delete()
        transaction.on_commit(partial(storage.drop, row.key, row.thumbnail_key, *row.parts))


def _lock_place(row: Attachment) -> None:
    """Lock the conversation of a file that is in a message: before the file itself, as a send does."""
    if row.conversation_id and row.message_id:
        changes.lock_conversation(ConversationId(row.conversation_id))


def _own(user_id: UserId, attachment_id: AttachmentId, *, lock: bool = True) -> Attachment:
    """Return one's own file, locked where there is a transaction. Raises NotFound."""
    rows = Attachment.objects.filter(id=attachment_id, uploader_id=user_id)
    row = (rows.select_for_update() if lock and connection.in_atomic_block else rows).first()
    if row is None:
        raise NotFound
    return row


def look(user_id: UserId, attachment_id: AttachmentId) -> Attachment:
    """Return a file to its uploader or to a user who may see its message. Raises NotFound."""
    row = Attachment.objects.filter(id=attachment_id).first()
    if row is None or not (row.uploader_id == user_id or _seen(user_id, row)):
        raise NotFound
    return row


def _seen(user_id: UserId, row: Attachment) -> bool:
    if row.message_id is None:
        return False
    with connection.cursor() as cursor:
        values = {"conversation": row.conversation_id, "message": row.message_id, "id": row.id, "viewer": user_id}
        cursor.execute(SEEN, values)
        return bool(cursor.fetchone()[0])


def wire(row: Attachment) -> AttachmentObject:
    """Return a file as its own object on the wire: as messages list it, and how far its upload is."""
    entry: dict[str, Any] = {
        "id": str(row.id),
        "name": row.name,
        "size": row.size,
        "mime_type": row.mime_type,
        "status": row.status,
    }
    entry |= {"width": row.width, "height": row.height, "thumbnail": bool(row.thumbnail_key)}
    (linked,) = links.linked([entry])
    thumbnail_url = linked.pop("thumbnailUrl")
    return AttachmentObject(
        **linked,
        thumbnail_url=thumbnail_url,
        received=row.received,
        chunk_size=settings.LIMITS.upload_chunk_bytes,
        created_at=wire_time(row.created_at) or "",
    )
