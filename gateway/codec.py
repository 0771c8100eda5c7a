"""Text to frames and frames to text. What cannot be read is refused with the field that is wrong."""

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
# msgspec names the place of a fault as `$.some.field`, or `key` in `$.some.map`; positions say nothing to a form.
_MISSING = re.compile(r"missing required field `([A-Za-z0-9_]+)`")
_PLACE = re.compile(r" - at (?:`key` in )?`\$\.?([A-Za-z0-9_.]*)")


def read_envelope(text: str | bytes) -> Envelope:
    """Return the envelope of a text frame. Raises BadFrame for what is no JSON object of that shape, NUL included."""
    try:
        envelope = _read_envelope(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
        raise BadFrame(str(fault)) from None
    if envelope.id is not None and (len(envelope.id) > 64 or "\0" in envelope.id):
        raise BadFrame("id: at most 64 characters", field="id")
    return envelope


def read_payload(decoder: "msgspec.json.Decoder[F]", payload: msgspec.Raw) -> F:
    """Return the payload as its frame. Raises InvalidPayload with the field that is wrong."""
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
        raise InvalidPayload(str(fault), field=field_of(fault)) from None


def field_of(fault: Exception) -> str | None:
    """Return the wire's name of the field that msgspec complains about, None where it names none."""
    place = _PLACE.search(str(fault)) or _MISSING.search(str(fault))
    return place[1] if place and place[1] else None


# The last second and its text in one: handler threads write times too, and must not see one without the other.
_last = (0, "")
_to_text = "%Y-%m-%dT%H:%M:%S."


def timestamp(at: datetime | None = None) -> str:
    """Return a moment, by default now, as the wire writes it: ISO 8601 UTC with milliseconds and Z. From any thread."""
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
    """Return a Unix time in seconds as the wire writes it; None for None."""
    return timestamp(datetime.fromtimestamp(at, UTC)) if at is not None else None


_prefix = uuid.uuid4().hex[:12]
_numbers = itertools.count(1)


def frame(type_: str, payload: Any, *, traceparent: str | None = None) -> bytes:
    """Return a server frame, encoded once for all who get it; the payload stands last."""
    envelope: dict[str, Any] = {"type": type_, "id": f"{_prefix}{next(_numbers):x}", "timestamp": timestamp()}
    if traceparent:
        envelope["traceparent"] = traceparent
    envelope["payload"] = payload
    return encode(envelope)
