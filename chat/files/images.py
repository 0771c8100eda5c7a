"""Images made safe to hand out: orientation applied, metadata gone (EXIF, GPS, XMP, comments), a thumbnail beside it.

Decoders of images are where bombs go off, so `processed` runs this module in a process of its own with little memory
and time. That process knows nothing of Django, the database or the secrets: this module imports Pillow alone.
"""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
SECONDS = 30
MEMORY_BYTES = 1536 * 1024 * 1024
THUMBNAIL_EDGE = 480
# All frames of an animation together may have so many times the pixels of one image.
FRAMES_FACTOR = 4
# Metadata that is kept: it affects the look, and names neither place nor author.
KEPT = ("icc_profile", "transparency", "background", "duration", "loop", "disposal", "blend", "gamma", "default_image")
# How the process ends that has not judged: by its own word, or by the signals that end whole process groups.
NO_VERDICT = (os.EX_TEMPFAIL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)
# Errors of the machine; all others that Pillow raises as OSError are those of an image.
MACHINE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)


class BadImage(Exception):
    """An image that cannot be read, or is too large to be."""


class Picture(NamedTuple):
    """A safe image and its thumbnail as files, and its size in pixels as people see it."""

    file: Path
    thumbnail: Path
    width: int
    height: int


def processed(source: Path, mime_type: str, folder: Path, *, most_pixels: int) -> Picture:
    """Write the safe image and its thumbnail into `folder`.

    Raises BadImage, and OSError where that says nothing of the image: a full disk, or a stop of this machine's.
    """
    command = [
        sys.executable,
        "-m",
        "chat.files.images",
        str(source),
        FORMATS[mime_type],
        str(folder),
        str(most_pixels),
    ]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            timeout=2 * SECONDS,
            env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(Path(__file__).parents[2])},
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        raise BadImage("takes too long") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"ended by signal {-done.returncode}"
        raise OSError(reason) if done.returncode in NO_VERDICT else BadImage(reason)
    width, height = json.loads(done.stdout)
    return Picture(folder / "clean", folder / "thumbnail", width, height)


def clean(source: Path, format_: str, folder: Path, most_pixels: int) -> tuple[int, int]:
    """Write `clean` and `thumbnail` into a folder, and return width and height."""
    Image.MAX_IMAGE_PIXELS = None  # Judged below, before anything is decoded.
    with Image.open(source, formats=[format_]) as image:
        frames = getattr(image, "n_frames", 1)
        if (
            image.width * image.height > most_pixels
            or image.width * image.height * frames > FRAMES_FACTOR * most_pixels
        ):
            raise BadImage(f"{image.width} × {image.height} × {frames} is too large")
        _write_thumbnail(image, folder / "thumbnail")
        image.seek(0)
        return _write_clean(image, format_, folder / "clean", animated=frames > 1 and format_ != "JPEG")


def _write_clean(image: Any, format_: str, target: Path, *, animated: bool) -> tuple[int, int]:
    notes: dict[Any, Any] = {name: image.info[name] for name in KEPT if name in image.info}
    if animated:
        image.info = notes
        image.save(target, format=format_, save_all=True, comment=b"", exif=b"", xmp=b"")
        return image.width, image.height
    upright = ImageOps.exif_transpose(image)
    turned = upright.size != image.size or image.getexif().get(0x0112, 1) != 1
    upright.info = notes
    options: dict[str, Any] = {"icc_profile": notes.get("icc_profile"), "comment": b"", "exif": b"", "xmp": b""}
    if format_ == "JPEG":
        # The same tables as before where nothing was turned: hardly anything is lost.
        options |= {"quality": 90} if turned or image.format != "JPEG" else {"quality": "keep"}
        if options["quality"] == "keep":
            upright = image
            upright.info = {**notes, **{k: image.info[k] for k in ("progressive", "progression") if k in image.info}}
    elif format_ == "WEBP":
        options |= {"quality": 90}
    upright.save(target, format=format_, **options)
    return upright.width, upright.height


def _write_thumbnail(image: Any, target: Path) -> None:
    small = ImageOps.exif_transpose(image)
    small.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
    small = small.convert("RGBA" if "A" in small.mode or "transparency" in small.info else "RGB")
    small.info = {}
    small.save(target, format="WEBP", quality=80)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    source, format_, folder, most = sys.argv[1:]
    try:
        print(json.dumps(clean(Path(source), format_, Path(folder), int(most))))
    except OSError as fault:
        if fault.errno not in MACHINE_ERRORS:
            raise
        print(fault, file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)


if __name__ == "__main__":
    main()
