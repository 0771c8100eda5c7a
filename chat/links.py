"""Files as messages list them, and their links: signed, short-lived, once the file may be seen (F216)."""

import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from chat.ids import AttachmentId
from gateway.errors import Forbidden

FILE, THUMBNAIL = "file", "thumbnail"


def linked(attachments: Sequence[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Return the entries of `chat_attachments` with `url` and `thumbnailUrl`, None if a file may not be downloaded."""
    return [_linked(**entry) for entry in attachments or ()]


def _linked(*, thumbnail: bool, **entry: Any) -> dict[str, Any]:
    ready = entry["status"] == "ready"
    small = thumbnail and (ready or entry["status"] == "expired")
    return dict(
        entry,
        url=link(AttachmentId(int(entry["id"])), FILE) if ready else None,
        thumbnailUrl=link(AttachmentId(int(entry["id"])), THUMBNAIL) if small else None,
    )


def link(attachment_id: AttachmentId, kind: str) -> str:
    """Return the address of a file or thumbnail, good for `link_seconds` at most and half of that at least (U10).

    The end is rounded, so that one who reads a list twice meets the same address and their cache.
    """
    half = settings.LIMITS.link_seconds / 2
    until = int((time.time() // half + 2) * half)
    return f"/api/v1/attachments/{attachment_id}/content?kind={kind}&until={until}&signature={_signature(attachment_id, kind, until)}"


def verify(attachment_id: AttachmentId, kind: str, until: str, signature: str) -> int:
    """Return for how many seconds a link still holds. Raises Forbidden for one that has ended or is not ours."""
    if kind in (FILE, THUMBNAIL) and until.isascii() and until.isdigit() and len(until) < 12:
        left = int(until) - int(time.time())
        if left > 0 and constant_time_compare(signature, _signature(attachment_id, kind, int(until))):
            return left
    raise Forbidden("this link has ended: read the message again for a new one")


def _signature(attachment_id: AttachmentId, kind: str, until: int) -> str:
    return salted_hmac("chat.files", f"{attachment_id}:{kind}:{until}", algorithm="sha256").hexdigest()
