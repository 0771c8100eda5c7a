"""Where the bytes of files are: Django's storage `attachments`, a folder or a bucket. Keys are random, never a person's words."""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from django.core.files.base import File
from django.core.files.storage import storages

logger = logging.getLogger(__name__)
COPY_BYTES = 256 * 1024


class StorageUnavailable(OSError):
    """The storage takes or gives no bytes: it is full, or not to be reached."""


@contextmanager
def _unified_errors() -> Iterator[None]:
    """Name the failures of whichever storage it is alike; its own stays behind them as the cause."""
    try:
        yield
    except Exception as fault:
        raise StorageUnavailable(f"{type(fault).__name__}: {fault}") from fault


def new_key() -> str:
    """Return a key that nobody can guess; its first two letters spread a folder."""
    word = secrets.token_hex(20)
    return f"{word[:2]}/{word}"


def thumbnail_of(key: str) -> str:
    """Return the key of the thumbnail beside a file."""
    return f"{key}.small"


def base_of(key: str) -> str:
    """Return the key of the file to which a part or thumbnail belongs."""
    return key.partition(".")[0]


def part_of(key: str) -> str:
    """Return a fresh key for a part of the file that will have `key`."""
    return f"{key}.{secrets.token_hex(4)}"


def save(key: str, source: IO[bytes]) -> None:
    """Store the bytes of `source`, read in pieces, under an unused key. Raises StorageUnavailable, and then leaves nothing."""
    source.seek(0)
    try:
        with _unified_errors():
            name = storages["attachments"].save(key, File(source))
    except StorageUnavailable:
        # Else each try would leave another piece on a disk that is full.
        if file := local(key):
            file.unlink(missing_ok=True)
        raise
    if name != key:
        drop(name)
        raise FileExistsError(key)


def copy(key: str, target: IO[bytes]) -> None:
    """Append the bytes of a key to an open file. Raises StorageUnavailable."""
    with _unified_errors(), storages["attachments"].open(key) as source:
        while piece := source.read(COPY_BYTES):
            target.write(piece)


def drop(*keys: str) -> None:
    """Delete keys; a missing or empty key is no error. A key that cannot be deleted becomes a stray (chat/files/expiry.py)."""
    for key in filter(None, keys):
        try:
            with _unified_errors():
                storages["attachments"].delete(key)
        except StorageUnavailable as fault:
            logger.warning("bytes stay behind for a sweep: %s", fault)


def older_than(at: datetime, prefix: str) -> list[str]:
    """Return the keys that begin with two letters and were stored before `at`."""
    storage = storages["attachments"]
    try:
        names = storage.listdir(prefix)[1]
    except FileNotFoundError:
        return []
    return [key for key in (f"{prefix}/{name}" for name in names) if _stored_at(key) < at]


def _stored_at(key: str) -> datetime:
    try:
        return storages["attachments"].get_modified_time(key)
    except FileNotFoundError:
        return datetime.max.replace(tzinfo=UTC)


def local(key: str) -> Path | None:
    """Return the file of a key, None where the storage is no folder of this machine."""
    try:
        return Path(storages["attachments"].path(key))
    except NotImplementedError:
        return None


def remote(key: str, *, seconds: int, content_type: str, disposition: str) -> str:
    """Return the storage's own signed link, by which it serves a key with these headers."""
    storage: Any = storages["attachments"]
    headers = {"ResponseContentType": content_type, "ResponseContentDisposition": disposition}
    return str(storage.url(key, parameters=headers, expire=seconds))
