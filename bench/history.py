"""The events of a load process, row by row: written by the load, read by the checker and for the figures.

A row is nine 64-bit numbers, so that writing one costs a fraction of a microsecond at 40,000 rows a second. Times are
nanoseconds of the machine's monotonic clock, which all processes share. Knows nothing of sockets or the database.
"""

import uuid
from array import array
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

FOREIGN = -1


class Kind(IntEnum):
    """The event of a row; each comment names the columns that it uses besides `at`."""

    JOINED = 1  # a client starts: client=client number, chat, seq and rev of its watermark, other=user
    CONNECTED = 2  # connection, client=client number, other=user
    DISCONNECTED = 3  # connection, client=client number, other=user
    SENT = 4  # connection, chat, client, other=intended time, digest; again with a later `at` when sent again
    ACKED = 5  # connection, chat, seq, rev, client, other=message id
    ACKED_AGAIN = 6  # as ACKED, with duplicate:true
    REFUSED = 7  # connection, chat, client
    DELIVERED = 8  # live: connection, chat, seq, rev, client, other=sender, digest
    FETCHED = 9  # by sync or history: as DELIVERED
    SYNCED = 10  # connection, chat, seq and rev of the new watermark
    FINISHED = 11  # a client's last sync is complete: connection, client=client number, other=user


class Row(NamedTuple):
    """One row; a column that its kind does not use is 0."""

    kind: int
    at: int
    connection: int = 0
    chat: int = 0
    seq: int = 0
    rev: int = 0
    client: int = 0
    other: int = 0
    digest: int = 0


WIDTH = len(Row._fields)


class Writer:
    """Collects rows in memory and writes them to `file` on `flush`; one load process owns one."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows = array("q")
        self.add = self.rows.extend

    def flush(self) -> None:
        """Append the collected rows to the file."""
        with self.file.open("ab") as out:
            self.rows.tofile(out)
        del self.rows[:]


def read_rows(files: Iterable[Path]) -> Iterator[Row]:
    """Yield every row of these histories, file after file, each in the order in which it was written."""
    for file in files:
        rows = array("q")
        rows.frombytes(file.read_bytes())
        columns = [rows[i::WIDTH] for i in range(WIDTH)]
        yield from map(Row, *columns)


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """Write a history from rows, for tests."""
    writer = Writer(file)
    for row in rows:
        writer.add(row)
    writer.flush()


def digest(content: str) -> int:
    """Return a checksum of a message text, to notice changed texts."""
    return crc32(content.encode("utf-8", "surrogatepass"))


class ClientIds:
    """Client ids of one run: UUIDs of the run's prefix and a message number, which contains the load process."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    @classmethod
    def for_new_run(cls) -> "ClientIds":
        """Return client ids with a new random prefix."""
        return cls(str(uuid.uuid4())[:19])

    def text(self, number: int) -> str:
        """Return the UUID of a message number below 2**60, in the form of version 4."""
        digits = f"{number:015x}"
        return f"{self.prefix}8{digits[:3]}-{digits[3:]}"

    def number(self, text: str) -> int:
        """Return the message number of a UUID, FOREIGN for a UUID of another run."""
        if text[:20] != self.prefix + "8":
            return FOREIGN
        return int(text[20:23] + text[24:], 16)


def message_numbers(process: int) -> Iterator[int]:
    """Yield the message numbers of a load process (0 to 4095)."""
    number = process << 48
    while True:
        number += 1
        yield number
