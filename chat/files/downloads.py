"""The bytes of files go out: by a signed link, in ranges, with headers under which a browser runs nothing of them (F216)."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from chat import links
from chat.files import media_types, storage
from chat.ids import AttachmentId
from chat.models import Attachment
from gateway import threads
from gateway.errors import NotFound

PIECE_BYTES = 256 * 1024
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
Status = Attachment.Status


def response(
    attachment_id: AttachmentId, kind: str, until: str, signature: str, *, headers: Mapping[str, str]
) -> HttpResponseBase:
    """Return the bytes of a link. Raises Forbidden for an invalid link, NotFound for a file that is gone."""
    left = links.verify(attachment_id, kind, until, signature)
    row = Attachment.objects.filter(id=attachment_id).first()
    key = _key(row, kind) if row is not None else ""
    if row is None or not key:
        raise NotFound
    type_ = row.mime_type if kind == links.FILE else media_types.WEBP
    shown = type_ in media_types.INLINE
    disposition = content_disposition_header(not shown, row.name) or "inline"
    served_as = type_ if shown else media_types.UNKNOWN
    file = storage.local(key)
    answer: HttpResponseBase
    if file is None:
        answer = HttpResponseRedirect(
            storage.remote(key, seconds=left, content_type=served_as, disposition=disposition)
        )
    else:
        if not file.is_file():
            raise NotFound
        answer = _ranged(file, f'"{key[-16:]}"', headers)
        answer["Content-Type"], answer["Content-Disposition"] = served_as, disposition
    for name, value in SAFE.items():
        answer[name] = value
    answer["Cache-Control"] = f"private, max-age={left}"
    return answer


def _key(row: Attachment, kind: str) -> str:
    if kind == links.FILE:
        return row.key if row.status == Status.READY else ""
    # A file deleted with its message is expired too, but belongs to no message: it is gone at once (K32).
    expired = row.status == Status.EXPIRED and row.message_id is not None
    return row.thumbnail_key if row.status == Status.READY or expired else ""


def _ranged(file: Path, etag: str, headers: Mapping[str, str]) -> HttpResponseBase:
    """Return one range of the file, or all of it for any other request."""
    size = file.stat().st_size
    wanted = RANGE.fullmatch(headers.get("Range", ""))
    if headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers={"ETag": etag})
    if wanted is None or headers.get("If-Range", etag) != etag or wanted[0] == "bytes=-":
        start, end, status = 0, size, 200
    else:
        start, end = _span(wanted[1], wanted[2], size)
        if start >= end:
            return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
        status = 206
    answer = StreamingHttpResponse(_pieces(file, start, end), status=status)
    answer["Accept-Ranges"], answer["ETag"], answer["Content-Length"] = "bytes", etag, str(end - start)
    if status == 206:
        answer["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return answer


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


async def _pieces(file: Path, start: int, end: int) -> AsyncIterator[bytes]:
    """Yield a span of a file, read on threads a piece at a time: a large one is never in memory."""
    source = await threads.run(file.open, "rb")
    try:
        await threads.run(source.seek, start)
        while start < end and (piece := await threads.run(source.read, min(PIECE_BYTES, end - start))):
            start += len(piece)
            yield piece
    finally:
        source.close()
