"""What a file is: by its bytes first, by what its sender says only where both agree. Rules about types are settings."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch

import puremagic
from django.conf import settings

from chat.refusals import AttachmentRejected

HEAD_BYTES = 8192
UNKNOWN, TEXT = "application/octet-stream", "text/plain"
SHAPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
LEAST_CONFIDENCE = 0.3
# Images whose metadata is removed (chat/files/images.py); recognised here alone, because much depends on it.
PICTURES = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n", "image/gif": b"GIF8"}
WEBP, OGG = "image/webp", "application/ogg"
CLEANED = (*PICTURES, WEBP)
# Images that may say where they were taken, and that nothing here can clean: not taken.
UNCLEANABLE = {"image/heif", "image/heic", "image/avif", "image/tiff", "image/jp2", "image/jxl", "image/x-canon-cr2"}
# May be shown inside a page by a browser; all else is saved (F216).
INLINE = {
    *CLEANED, "video/mp4", "video/webm", "audio/mpeg", "audio/mp4", "audio/ogg", OGG, "audio/webm",
    "audio/wav", "audio/wave", "audio/x-wav",
}  # fmt: skip


def said_of(declared: str) -> str:
    """Return the type that a sender names, without its parameters; UNKNOWN for what is none."""
    said = declared.partition(";")[0].strip().lower()
    return said if SHAPE.fullmatch(said) else UNKNOWN


def of(head: bytes, declared: str) -> str:
    """Return the type of a file by its first bytes. Raises AttachmentRejected.

    Refused is what its sender declares to be an image, sound or film and is something else, an image that cannot be
    rid of its metadata, and what the settings do not take.
    """
    said = said_of(declared)
    found = list(_sniffed(head))
    if UNCLEANABLE.intersection(found):
        raise AttachmentRejected("send images as JPEG, PNG, GIF or WebP", field="mimeType")
    type_ = said if said in found else _best(found, head, said)
    if not _agree(said, type_, found):
        raise AttachmentRejected(f"this is {type_}, not {said}", field="mimeType")
    if not any(fnmatch(type_, taken) for taken in settings.UPLOAD_TYPES) or any(
        fnmatch(each, refused) for each in (type_, said) for refused in settings.UPLOAD_TYPES_REFUSED
    ):
        raise AttachmentRejected(f"files of the type {type_} are not taken", field="mimeType")
    return type_


def _sniffed(head: bytes) -> Iterator[str]:
    for type_, begin in PICTURES.items():
        if head.startswith(begin):
            yield type_
            return
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        yield WEBP
        return
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return
    for match in matches:
        if match.confidence >= LEAST_CONFIDENCE and SHAPE.fullmatch(match.mime_type) and match.mime_type not in CLEANED:
            yield match.mime_type


def _best(found: list[str], head: bytes, said: str) -> str:
    text = _is_text(head)
    if text and said.startswith("text/"):
        return said
    return found[0] if found else TEXT if text else UNKNOWN


def _agree(said: str, type_: str, found: list[str]) -> bool:
    if said.startswith("image/"):
        return type_.startswith("image/") or said == "image/svg+xml"
    if said.startswith(("audio/", "video/")):
        # One container holds either: what differs is what is in it.
        return not found or any(each.startswith(("audio/", "video/")) or each == OGG for each in found)
    return True


def _is_text(head: bytes) -> bool:
    """Say whether bytes are UTF-8 without control characters; the last character may be cut off."""
    try:
        head.decode()
    except UnicodeDecodeError as fault:
        if fault.start < len(head) - 3:
            return False
    return not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head)
