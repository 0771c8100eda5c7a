"""Compares two snapshots; what differs by nature is made equal first, by the rows of `NORMAL`, each with its reason."""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple


class Normal(NamedTuple):
    """Values at paths like `path` in reads like `read` become `form` of them before they are compared."""

    read: str
    path: str
    reason: str
    form: Callable[[Any], Any] = lambda value: None if value is None else "(normal)"


def _unsigned(link: Any) -> Any:
    return re.sub(r"([?&](?:signature|until))=[^&]*", r"\1", link) if isinstance(link, str) else link


# A change of an answer that is meant gets a row here with the number of its issue, until the build with it is the older one.
NORMAL: tuple[Normal, ...] = (
    Normal("", r"\.(url|thumbnailUrl)$", "the link is signed anew with each read; the bytes are compared", _unsigned),
    Normal(" GET /contract", r"\.(meaning|source)$", "prose for people"),
    Normal(" GET /contract", r"\.limits\.(frame[sBP]\w+|indicatorBytes|searches\w+)$", "limits that 0.1.0 did not have", lambda value: MISSING),
    Normal(" GET /auth/devices", r"\.lastSeenAt$", "these reads are the device's last use"),
    Normal("/receipts", r"\.ttl$", "seconds that are left"),
    Normal("/delivery-state", r"\.body\.timestamp$", "when it was asked"),
    Normal("/trace", r"\.body\.detail$", "the refusal names the permission that a look takes"),
    Normal("/trace", r"\.published$", "the older build's outbox is queued on purpose; that it is worked off is checked"),
    Normal("/trace", r"\.(gateways|silentGateways|connections)$", "stands in the memory of processes that are gone"),
    Normal(" GET /users[?]", r"^\.body", "0.1.0 found addresses by their beginning, and showed none to colleagues"),
    Normal("^ada POST /sync", r"\.(readSeq|state)$", "0.1.0 forgot the device of REST /sync and hid what her phone hides"),
)  # fmt: skip
# What an item of a list is known by, where it has no `id` of its own.
IDENTITY = ("chatId", "threadId", "userId", "recipientId", "deviceId", "emoji")


class Difference(NamedTuple):
    """A value of one read that is not the same; `path` leads to it in JSON. `MISSING` stands for the side that lacks it."""

    read: str
    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        was, now = (_text(value)[:300] for value in (self.before, self.after))
        return f"{self.read[:300]}\n  {self.path}\n    before: {was}\n    after:  {now}"


MISSING = "(missing)"


def differences(before: dict[str, Any], after: dict[str, Any], normal: Sequence[Normal] = NORMAL) -> list[Difference]:
    """Return every difference between two snapshots, read by read."""
    result = []
    for read in dict.fromkeys([*before, *after]):
        rows = [row for row in normal if re.search(row.read, read)]
        sides = [_normalised(side[read], "", rows) if read in side else MISSING for side in (before, after)]
        if _text(sides[0]) != _text(sides[1]):
            result += [Difference(read, path, was, now) for path, was, now in _compared("", *sides)]
    return result


def _normalised(value: Any, path: str, rows: Sequence[Normal]) -> Any:
    for row in rows:
        if re.search(row.path, path):
            return row.form(value)
    if isinstance(value, dict):
        return {key: _normalised(item, f"{path}.{key}", rows) for key, item in value.items()}
    if isinstance(value, list):
        return [_normalised(item, f"{path}[{place}]", rows) for place, item in enumerate(value)]
    return value


def _compared(path: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*was, *now]):
            yield from _compared(f"{path}.{key}", was.get(key, MISSING), now.get(key, MISSING))
    elif isinstance(was, list) and isinstance(now, list):
        yield from _compared_lists(path, was, now)
    elif _text(was) != _text(now):
        yield path, was, now


def _compared_lists(path: str, was: list[Any], now: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    """Compare the items that are the same by their ids, in order; report each other one as lost or new."""
    was_keys, now_keys = [_key(item) for item in was], [_key(item) for item in now]
    if len(was) == len(now) and not (all(was_keys) and all(now_keys)):
        was_keys = now_keys = [str(place) for place in range(len(was))]  # no ids: by place
    was_keys = [key or _text(item) for key, item in zip(was_keys, was, strict=True)]
    now_keys = [key or _text(item) for key, item in zip(now_keys, now, strict=True)]
    for kind, start, end, first, last in difflib.SequenceMatcher(
        None, was_keys, now_keys, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            for place, pair in enumerate(zip(was[start:end], now[first:last], strict=True), start):
                yield from _compared(f"{path}[{place}]", *pair)
        else:
            yield from ((f"{path}[{place}]", was[place], MISSING) for place in range(start, end))
            yield from ((f"{path}[{place}]", MISSING, now[place]) for place in range(first, last))


def _key(item: Any) -> str:
    """Return what an item is known by; nothing for one without ids."""
    if not isinstance(item, dict):
        return ""
    return str(item.get("id") or "/".join(str(item[name]) for name in IDENTITY if name in item))


def _text(value: Any) -> str:
    """Return canonical JSON: in Python 1, 1.0 and True are equal, on the wire they are not."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
