"""Parses a day of an IRC channel's log into (minute, nick, text), malformed bytes included.

`[HH:MM] <nick> text` is a message; everything else (joins, parts, renames, actions) is skipped.
"""

import gzip
import re
from pathlib import Path
from typing import NamedTuple

LINE = re.compile(r"^\[(\d\d):(\d\d)\] <([^>]*)> ?(.*)$")
DAY = 24 * 60


class Line(NamedTuple):
    """One message; `minute` counts from midnight of the log's first day and continues after the next midnight."""

    minute: int
    nick: str
    text: str


def parse_lines(log: bytes) -> list[Line]:
    """Return the messages of a log, in order. Invalid UTF-8 and NUL, which Parley refuses, become U+FFFD."""
    messages: list[Line] = []
    for line in log.decode("utf-8", "replace").replace("\0", "\ufffd").split("\n"):
        match = LINE.match(line.rstrip("\r"))
        if match and match[4].strip():
            minute = int(match[1]) * 60 + int(match[2])
            while messages and minute < messages[-1].minute - DAY // 2:
                minute += DAY
            messages.append(Line(max(minute, messages[-1].minute if messages else 0), match[3], match[4]))
    return messages


def busiest_day(folder: Path) -> tuple[str, list[Line]]:
    """Return name and messages of the log with the most speakers. Raises FileNotFoundError for an empty folder."""
    days = {file.name: parse_lines(_read(file)) for file in sorted(folder.glob("*.log*"))}
    if not days:
        raise FileNotFoundError(f"there is no *.log or *.log.gz in {folder}")
    return max(days.items(), key=lambda day: len({line.nick for line in day[1]}))


def _read(file: Path) -> bytes:
    data = file.read_bytes()
    return gzip.decompress(data) if file.suffix == ".gz" else data
