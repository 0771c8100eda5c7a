"""Decodes text into frames and encodes frames into text.

An unreadable frame is refused with the name of its wrong field.
"""

import itertools
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from gateway.errors import BadFrame, InvalidPayload
from gateway.frames import Envelope, Frame

F = TypeVar("F", bound=Frame)

encode = msgspec.json.Encoder().encode
_read_envelope = msgspec.json.Decoder(Envelope).decode
# msgspec writes the place of a fault as `$.some.field`, or `key` in `$.some.map`. List positions are left out.
_MISSING = re.compile(r"missing required field `([A-Za-z0-9_]+)`")
_PLACE = re.compile(r" - at (?:`key` in )?`\$\.?([A-Za-z0-9_.]*)")


def read_envelope(text: str | bytes) -> Envelope:
    """Return the envelope of a text frame.

    Raises BadFrame unless it is a JSON object of that shape, or if its id has a NUL.
    """
    try:
        envelope = _read_envelope(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
        raise BadFrame(str(fault)) from None
    if envelope.id is not None and (len(envelope.id) > 64 or "\0" in envelope.id):
        raise BadFrame("id: at most 64 characters", field="id")
    return envelope


def read_payload(decoder: "msgspec.json.Decoder[F]", payload: msgspec.Raw) -> F:
    """Return the payload decoded as its frame. Raises InvalidPayload with the name of the wrong field."""
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
        raise InvalidPayload(str(fault), field=field_of(fault)) from None


def field_of(fault: Exception) -> str | None:
    """Return the wire name of the field in a msgspec error; None if the error names no field."""
    place = _PLACE.search(str(fault)) or _MISSING.search(str(fault))
    return place[1] if place and place[1] else None


# The last second and its text, in one tuple: handler threads replace both at once and never see a mixture.
_last = (0, "")
_to_text = "%Y-%m-%dT%H:%M:%S."


def timestamp(at: datetime | None = None) -> str:
    """Return a time, by default now, as the wire writes it: ISO 8601, UTC, milliseconds, Z. Thread-safe."""
    global _last
    now = at.timestamp() if at else time.time()
    second = int(now)
    known, text = _last
    if second != known:
        text = datetime.fromtimestamp(second, UTC).strftime(_to_text)
        _last = second, text
    milliseconds = at.microsecond // 1000 if at else int((now - second) * 1000)
    return f"{text}{milliseconds:03d}Z"


def unix_timestamp(at: float | None) -> str | None:
    """Return a Unix time in seconds as the wire writes it, and None for None."""
    return timestamp(datetime.fromtimestamp(at, UTC)) if at is not None else None


_prefix = uuid.uuid4().hex[:12]
_numbers = itertools.count(1)


def frame(type_: str, payload: Any, *, traceparent: str | None = None) -> bytes:
    """Return a server frame, encoded once for all its receivers. The payload is the last field."""
    envelope: dict[str, Any] = {"type": type_, "id": f"{_prefix}{next(_numbers):x}", "timestamp": timestamp()}
    if traceparent:
        envelope["traceparent"] = traceparent
    envelope["payload"] = payload
    return encode(envelope)
