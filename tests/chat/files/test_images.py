"""Images come out upright, without a word about where they were taken, or not at all."""

import io
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image, PngImagePlugin

from chat.files import images
from chat.files.images import BadImage
from tests.chat.sessions import WAIT_SECONDS

SECRET = b"Secret-Garden"
ORIENTATION, DESCRIPTION, GPS = 0x0112, 0x010E, 0x8825
TURNED = 6
MOST = 1_000_000


def exif(orientation: int = TURNED) -> Image.Exif:
    notes = Image.Exif()
    notes[ORIENTATION], notes[DESCRIPTION] = orientation, SECRET.decode()
    notes.get_ifd(GPS).update({1: "N", 2: (52.0, 31.0, 12.0)})
    return notes


def text() -> PngImagePlugin.PngInfo:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("place", SECRET.decode())
    return notes


def encoded(format_: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((300, 200), 30).convert("RGB").save(out, format=format_, **options)
    return out.getvalue()


def animated(format_: str, **options: Any) -> bytes:
    out = io.BytesIO()
    first, *rest = (Image.new("RGB", (60, 40), colour) for colour in ("red", "green", "blue"))
    first.save(out, format=format_, save_all=True, append_images=rest, duration=100, **options)
    return out.getvalue()


def process(raw: bytes, mime_type: str, folder: Path, most_pixels: int = MOST) -> images.Picture:
    source = folder / "source"
    source.write_bytes(raw)
    return images.processed(source, mime_type, folder, most_pixels=most_pixels)


@pytest.mark.parametrize(
    ("mime_type", "raw", "size"),
    [
        ("image/jpeg", encoded("JPEG", exif=exif(), comment=SECRET, xmp=SECRET), (200, 300)),
        ("image/jpeg", encoded("JPEG", exif=exif(1), comment=SECRET, progressive=True), (300, 200)),
        ("image/png", encoded("PNG", exif=exif(), pnginfo=text()), (200, 300)),
        ("image/webp", encoded("WEBP", exif=exif(), xmp=SECRET), (200, 300)),
        ("image/gif", encoded("GIF", comment=SECRET), (300, 200)),
    ],
    ids=["jpeg turned", "jpeg", "png", "webp", "gif"],
)
def test_image_is_rotated_upright_and_loses_its_gps_position(
    tmp_path: Path, mime_type: str, raw: bytes, size: tuple[int, int]
) -> None:
    assert SECRET in raw

    made = process(raw, mime_type, tmp_path)

    for file in (made.file, made.thumbnail):
        assert SECRET not in file.read_bytes() and b"Exif" not in file.read_bytes()
    with Image.open(made.file) as image:
        assert image.size == (made.width, made.height) == size
        assert image.get_format_mimetype() == mime_type
        assert not image.getexif()
    with Image.open(made.thumbnail) as small:
        assert small.format == "WEBP" and small.size == size


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG"])
def test_animation_keeps_its_frames(tmp_path: Path, format_: str) -> None:
    options = {"comment": SECRET} if format_ == "GIF" else {"exif": exif(1)}

    made = process(animated(format_, **options), f"image/{format_.lower()}", tmp_path)

    assert SECRET not in made.file.read_bytes()
    with Image.open(made.file) as image:
        assert getattr(image, "n_frames", 1) == 3


def test_thumbnail_size_is_bounded(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (1000, 400)).save(out, format="PNG")

    made = process(out.getvalue(), "image/png", tmp_path)

    with Image.open(made.thumbnail) as small:
        assert small.size == (images.THUMBNAIL_EDGE, 192)


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of some hundred bytes that claims to be as large as it is asked to."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack("!I", len(body)) + name + body + struct.pack("!I", zlib.crc32(name + body))

    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("raw", "mime_type"),
    [
        (bomb(60_000, 60_000), "image/png"),
        (bomb(1001, 1000), "image/png"),
        (b"\x89PNG\r\n\x1a\n and then nothing", "image/png"),
        (encoded("PNG")[:200], "image/png"),
        (b"\xff\xd8\xff" + b"\0" * 100, "image/jpeg"),
        (encoded("PNG"), "image/jpeg"),
        (b"GIF89a" + b"\xff" * 50, "image/gif"),
    ],
    ids=["bomb", "a little too large", "nonsense", "cut off", "no JPEG", "another format", "broken GIF"],
)
def test_unreadable_image_is_refused(tmp_path: Path, raw: bytes, mime_type: str) -> None:
    with pytest.raises(BadImage):
        process(raw, mime_type, tmp_path)


def test_pixel_limit_counts_all_frames_of_an_animation(tmp_path: Path) -> None:
    frame = 60 * 40
    process(animated("GIF"), "image/gif", tmp_path, most_pixels=frame)
    with pytest.raises(BadImage, match="too large"):
        process(animated("GIF"), "image/gif", tmp_path, most_pixels=frame - 1)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Five hundred megapixels are let in by the number, but not by the memory of the process."""
    with pytest.raises(BadImage):
        process(bomb(25_000, 25_000), "image/png", tmp_path, most_pixels=10**9)


@pytest.mark.parametrize("name", ["clean", "thumbnail"])
def test_full_disk_leaves_the_file_pending(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/full")

    with pytest.raises(OSError, match="No space left"):
        process(encoded("PNG"), "image/png", tmp_path)


def test_stopped_worker_leaves_the_file_pending(tmp_path: Path) -> None:
    """Its image is a pipe: once the process has opened it, it waits for what comes."""
    os.mkfifo(tmp_path / "source")
    with ThreadPoolExecutor(1) as threads:
        judged = threads.submit(images.processed, tmp_path / "source", "image/png", tmp_path, most_pixels=MOST)
        with (tmp_path / "source").open("wb"):
            (child,) = (c for c in psutil.Process().children() if "chat.files.images" in c.cmdline())
            child.terminate()
            with pytest.raises(OSError, match="signal 15"):
                judged.result(WAIT_SECONDS)
