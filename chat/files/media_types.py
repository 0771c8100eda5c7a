"""The media type of a file, by its bytes; the sender's type counts only if both agree. Rules about types are settings."""

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
# Images that may hold a position and cannot be cleaned here: refused.
UNCLEANABLE = {"image/heif", "image/heic", "image/avif", "image/tiff", "image/jp2", "image/jxl", "image/x-canon-cr2"}
# May be shown inside a page by a browser; all else is saved (F216).
INLINE = {
    *CLEANED, "video/mp4", "video/webm", "audio/mpeg", "audio/mp4", "audio/ogg", OGG, "audio/webm",
    "audio/wav", "audio/wave", "audio/x-wav",
}  # fmt: skip


def declared_type(declared: str) -> str:
    """Return the sender's type without its parameters; UNKNOWN for an invalid one."""
    declared = declared.partition(";")[0].strip().lower()
    return declared if SHAPE.fullmatch(declared) else UNKNOWN


def detect(head: bytes, declared: str) -> str:
    """Return the type of a file by its first bytes. Raises AttachmentRejected.

    Refused is what its sender declares to be an image, sound or film and is something else, an image that cannot be
    rid of its metadata, and what the settings do not take.
    """
    declared = declared_type(declared)
    candidates = list(_candidates(head))
    if UNCLEANABLE.intersection(candidates):
        raise AttachmentRejected("send images as JPEG, PNG, GIF or WebP", field="mimeType")
    type_ = declared if declared in candidates else _best(candidates, head, declared)
    if not _agree(declared, type_, candidates):
        raise AttachmentRejected(f"this is {type_}, not {declared}", field="mimeType")
    if not any(fnmatch(type_, taken) for taken in settings.UPLOAD_TYPES) or any(
        fnmatch(each, refused) for each in (type_, declared) for refused in settings.UPLOAD_TYPES_REFUSED
    ):
        raise AttachmentRejected(f"files of the type {type_} are not taken", field="mimeType")
    return type_


def _candidates(head: bytes) -> Iterator[str]:
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


def _best(candidates: list[str], head: bytes, declared: str) -> str:
    text = _is_text(head)
    if text and declared.startswith("text/"):
        return declared
    return candidates[0] if candidates else TEXT if text else UNKNOWN


def _agree(declared: str, type_: str, candidates: list[str]) -> bool:
    if declared.startswith("image/"):
        return type_.startswith("image/") or declared == "image/svg+xml"
    if declared.startswith(("audio/", "video/")):
        # One container holds audio or video.
        return not candidates or any(each.startswith(("audio/", "video/")) or each == OGG for each in candidates)
    return True


def _is_text(head: bytes) -> bool:
    """Say whether bytes are UTF-8 without control characters; the last character may be cut off."""
    try:
        head.decode()
    except UnicodeDecodeError as fault:
        if fault.start < len(head) - 3:
            return False
    return not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head)
