"""Content types and their data, one struct a type (F11, F12): the client's form and the stored form."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from django.utils import timezone
from msgspec import UNSET, Meta, UnsetType

from chat.frames import WireId, wire_time
from gateway.errors import InvalidPayload
from gateway.frames import Frame

Line = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"^(?=[\s\S]*\S)[^\x00\ud800-\udfff]*$")]
Byte = Annotated[int, Meta(ge=0, le=255)]


class Location(Frame, frozen=True, omit_defaults=True):
    """`location`: a point on the earth, in degrees."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    name: Line | UnsetType = UNSET
    address: Line | UnsetType = UNSET


class Contact(Frame, frozen=True, omit_defaults=True):
    """`contact`: a card, of somebody here by `userId` or of anybody by `name`."""

    user_id: WireId | UnsetType = UNSET
    name: Line | UnsetType = UNSET
    phone: Line | UnsetType = UNSET
    email: Line | UnsetType = UNSET


class Poll(Frame, frozen=True):
    """`poll`: a question and its answers (chat.polls has the rest)."""

    question: Line
    options: Annotated[list[Line], Meta(min_length=2, max_length=20)]
    multiple: bool = False
    anonymous: bool = False
    closes_at: Annotated[datetime, Meta(tz=True)] | None = None


class Voice(Frame, frozen=True):
    """`voice`: its length, and its loudness in steps for the preview."""

    duration_ms: Annotated[int, Meta(ge=1, le=24 * 3600 * 1000)]
    waveform: Annotated[list[Byte], Meta(max_length=256)] = []


SHAPES: dict[str, type[Frame]] = {"location": Location, "contact": Contact, "poll": Poll, "voice": Voice}
# Types whose `content` is words for people, which may be edited and may mention.
WORDED = ("text", "image", "video", "file")
FILES = ("image", "video", "file", "voice")
# In its last year a time may have none in UTC.
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
CONTENT_TYPES = ("text", *FILES, "location", "contact", "poll", "e2ee")


def checked(content_type: str, data: Any, attachments: int) -> dict[str, Any] | None:
    """Return a message's data as it is kept. Raises InvalidPayload with the wire's field name.

    `attachments` is their number: a voice message has one, images, videos and files some, and only these and text any.
    """
    if content_type not in CONTENT_TYPES:
        raise InvalidPayload(f"one of {', '.join(CONTENT_TYPES)}", field="contentType")
    if (content_type in FILES and not attachments) or (content_type == "voice" and attachments != 1):
        raise InvalidPayload("a message of this type comes with its file", field="attachments")
    if attachments and content_type not in (*FILES, "text"):
        raise InvalidPayload("a message of this type has no files", field="attachments")
    shape = SHAPES.get(content_type)
    if shape is None:
        if data is not None:
            raise InvalidPayload("a message of this type has no data", field="data")
        return None
    return _kept(_read(shape, data))


def _read(shape: type[Frame], data: Any) -> Frame:
    try:
        return msgspec.convert(data, shape)
    except msgspec.ValidationError as fault:
        raise InvalidPayload(str(fault), field="data") from None


def _kept(data: Frame) -> dict[str, Any]:
    match data:
        case Contact(user_id=user, name=name) if user is UNSET and name is UNSET:
            raise InvalidPayload("a contact card has a userId or a name", field="data")
        case Poll():
            return _poll(data)
    kept: dict[str, Any] = msgspec.to_builtins(data)
    return kept


def _poll(poll: Poll) -> dict[str, Any]:
    """A poll as its message shows it: the results stand at the options."""
    if len(set(poll.options)) < len(poll.options):
        raise InvalidPayload("each option once", field="data")
    if poll.closes_at is not None and not timezone.now() < poll.closes_at < NEVER:
        raise InvalidPayload("closesAt is over already, or never comes", field="data")
    option: dict[str, Any] = {"count": 0} if poll.anonymous else {"count": 0, "userIds": []}
    return {
        "question": poll.question,
        "options": [{"text": text, **option} for text in poll.options],
        "multiple": poll.multiple,
        "anonymous": poll.anonymous,
        "closed": False,
        "closesAt": wire_time(poll.closes_at),
    }
