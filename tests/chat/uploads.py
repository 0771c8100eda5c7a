"""Files for tests: uploaded by the use-cases, examined in this process, and what is left of them in the storage."""

import io
from typing import Any

from django.core.files.storage import storages
from PIL import Image

from chat.files import processing, uploads
from chat.files.scanning import Scanner
from chat.files.uploads import Piece
from chat.ids import AttachmentId
from chat.models import Attachment
from tests.factories import Someone

TEXT = b"nothing but words\n"


def png(width: int = 60, height: int = 40) -> bytes:
    """Return a small image."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), "green").save(out, format="PNG")
    return out.getvalue()


def upload(person: Someone, body: bytes = TEXT, name: str = "words.txt", mime_type: str = "") -> Attachment:
    """Upload a file at once; it waits for its examination."""
    return uploads.store(person.id, name, mime_type, io.BytesIO(body), len(body))


def ready(person: Someone, body: bytes = TEXT, **more: Any) -> Attachment:
    """Upload a file and have it examined without a scanner."""
    return examined(upload(person, body, **more))


def examined(row: Attachment, scanner: Scanner | None = None) -> Attachment:
    """Have a file examined that waits for it, and return it as it then is."""
    claimed = Attachment.objects.get(id=row.id)
    claimed.attempts += 1
    processing._process(claimed, scanner)
    return Attachment.objects.get(id=row.id)


def begun(person: Someone, size: int, **more: Any) -> Attachment:
    """Begin an upload in pieces."""
    return uploads.begin(person.id, name="large.bin", size=size, **more)


def piece(person: Someone, row: Attachment, whole: bytes, start: int, end: int) -> Attachment:
    """Send bytes `start` to `end` of an upload."""
    return uploads.append(person.id, AttachmentId(row.id), Piece(start, end, len(whole)), io.BytesIO(whole[start:end]))


def stored(key: str) -> bytes | None:
    """Return the bytes of a key, None where there are none."""
    storage = storages["attachments"]
    if not key or not storage.exists(key):
        return None
    with storage.open(key) as file:
        return bytes(file.read())
