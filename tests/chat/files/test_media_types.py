"""What a file is, by its bytes and by what its sender says."""

import pytest
from pytest_django.fixtures import Settings

from chat.files import media_types
from chat.refusals import AttachmentRejected

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 40
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40
EXE = b"MZ\x90\0" + b"\0" * 100
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
HTML = b"<html><body><script>alert(1)</script>"


@pytest.mark.parametrize(
    ("head", "declared", "type_"),
    [
        (PNG, "image/png", "image/png"),
        (PNG, "application/octet-stream", "image/png"),
        (PNG, "image/jpeg", "image/png"),
        (b"\xff\xd8\xff\xe1" + b"\0" * 40, "", "image/jpeg"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp", "image/webp"),
        (MP4, "video/mp4", "video/mp4"),
        (MP4, "audio/mp4; codecs=x", "video/mp4"),
        (PDF, "application/pdf", "application/pdf"),
        (b"hello world", "application/octet-stream", "text/plain"),
        (b"a;b\n1;2\n", "text/csv", "text/csv"),
        ("é".encode() * 4096, "text/plain", "text/plain"),
        (("a" + "é" * 5000).encode()[:8192], "text/plain", "text/plain"),
        (b"\x01\x02\x03\x04" * 9, "application/x-mine", "application/octet-stream"),
        (b"\x01\x02\x03\x04" * 9, "not a type", "application/octet-stream"),
        (HTML, "text/html", "text/html"),
    ],
    ids=repr,
)
def test_media_type_follows_the_bytes(head: bytes, declared: str, type_: str) -> None:
    assert media_types.detect(head, declared) == type_


@pytest.mark.parametrize(
    ("head", "declared"),
    [
        (HTML, "image/png"),
        (EXE, "image/jpeg"),
        (PDF, "image/gif"),
        (b"hello", "image/png"),
        (PDF, "video/mp4"),
        (HEIC, "image/heic"),
        (HEIC, "application/octet-stream"),
        (b"II*\0" + b"\0" * 40, "image/tiff"),
        (EXE, "application/octet-stream"),
        (b"whatever", "application/x-msdownload"),
    ],
    ids=repr,
)
def test_mismatching_or_refused_media_type_is_refused(head: bytes, declared: str) -> None:
    with pytest.raises(AttachmentRejected):
        media_types.detect(head, declared)


def test_accepted_media_types_are_configurable(settings: Settings) -> None:
    settings.UPLOAD_TYPES, settings.UPLOAD_TYPES_REFUSED = ["image/*", "application/pdf"], ["image/gif"]

    assert media_types.detect(PNG, "") == "image/png"
    assert media_types.detect(PDF, "") == "application/pdf"
    for head in (b"GIF89a", b"hello", MP4):
        with pytest.raises(AttachmentRejected):
            media_types.detect(head, "")


def test_active_content_is_served_as_download() -> None:
    assert not media_types.INLINE & {
        "text/html",
        "image/svg+xml",
        "application/pdf",
        "text/xml",
        "application/xhtml+xml",
    }
