"""The decoder with arbitrary input: it only ever raises the two documented refusals."""

import json
import sys
import threading
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.frames import FRAMES
from gateway import codec
from gateway.errors import BadFrame, InvalidPayload
from gateway.frames import Envelope, Frame
from gateway.routes import Route
from tests.clients import MOMENT

EXAMPLES = settings(max_examples=100, deadline=None)
DECODERS: list[msgspec.json.Decoder[Any]] = [msgspec.json.Decoder(route.frame) for route in FRAMES.values()]


def fields(route: Route) -> list[str]:
    """Return the wire names of a frame's fields."""
    return [field.encode_name for field in msgspec.structs.fields(route.frame)]


KEYS = st.sampled_from([name for route in FRAMES.values() for name in fields(route)]) | st.text(max_size=5)
NUMBERS = st.integers() | st.integers(-(2**70), 2**70) | st.floats()
SCALARS = st.none() | st.booleans() | NUMBERS | st.text() | st.from_regex(r"\A[0-9]{1,20}\Z")
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=10)
PAYLOADS = st.dictionaries(KEYS, JSON, max_size=5)
ENVELOPES = st.fixed_dictionaries(
    {"type": st.sampled_from(list(FRAMES)) | SCALARS},
    optional={"id": SCALARS, "timestamp": SCALARS, "traceparent": SCALARS, "payload": JSON, "x": JSON},
)

PIECES = st.sampled_from(
    [
        '{"type":"ping"',
        ',"payload":',
        "{}",
        "[",
        "]",
        "{",
        "}",
        ",",
        '"',
        "\\u",
        "d800",
        "null",
        "1e999",
        "-",
        "0" * 400,
    ]
)


def decode(text: str | bytes) -> tuple[Envelope, list[Frame]] | None:
    """Decode a text as every frame. Return None if its envelope is refused; anything but a refusal fails."""
    try:
        envelope = codec.read_envelope(text)
    except BadFrame as refusal:
        assert refusal.message
        return None
    read = []
    for decoder in DECODERS:
        try:
            read.append(codec.read_payload(decoder, envelope.payload))
        except InvalidPayload as refusal:
            assert refusal.message
            assert refusal.field is None or refusal.field
    return envelope, read


@EXAMPLES
@given(st.binary(max_size=200))
@example(b"\xff\xfe")
@example(b'{"type":"\xed\xa0\x80"}')
@example(b"[" * 50_000)
@example(b'{"type":"x","payload":' + b'{"a":' * 10_000)
def test_arbitrary_bytes_are_an_envelope_or_refused(raw: bytes) -> None:
    decode(raw)


@EXAMPLES
@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=200))
@example("\ud800")
@example('{"type":"\ud800"}')
@example('{"type":"a","id":"\\ud800"}')
def test_arbitrary_text_with_surrogates_is_an_envelope_or_refused(text: str) -> None:
    decode(text)


@EXAMPLES
@given(st.lists(PIECES).map("".join))
def test_fragments_of_json_are_an_envelope_or_refused(text: str) -> None:
    decode(text)


@EXAMPLES
@given(ENVELOPES)
def test_json_shaped_like_an_envelope_is_decoded_or_refused(envelope: dict[str, Any]) -> None:
    read = decode(json.dumps(envelope, allow_nan=False) if finite(envelope) else json.dumps(envelope))
    if read is not None:
        assert isinstance(envelope["type"], str)
        assert read[0].type == envelope["type"]


@EXAMPLES
@given(PAYLOADS)
def test_decoded_payload_matches_its_types(payload: dict[str, Any]) -> None:
    """A decoded payload can be encoded, and decoded again to an equal one."""
    read = decode(json.dumps({"type": "x", "payload": payload}))
    for frame in read[1] if read else []:
        again = msgspec.json.decode(codec.encode(frame), type=type(frame))
        assert again == frame


def finite(value: Any) -> bool:
    """Return whether JSON can hold a value: no infinity, no NaN."""
    if isinstance(value, float):
        return value - value == 0
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    return all(map(finite, value)) if isinstance(value, list) else True


@EXAMPLES
@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_timestamp_is_utc_with_milliseconds(at: datetime) -> None:
    text = codec.timestamp(at)
    assert MOMENT.fullmatch(text)
    assert datetime.fromisoformat(text) == at.replace(microsecond=at.microsecond // 1000 * 1000)


def test_formatting_old_times_in_a_thread_does_not_change_now() -> None:
    """A handler's thread formats a history page while the event loop stamps its frames."""
    done, usual = threading.Event(), sys.getswitchinterval()

    def history() -> None:
        while not done.is_set():
            codec.timestamp(datetime(2001, 1, 1, tzinfo=UTC))

    page = threading.Thread(target=history)
    sys.setswitchinterval(1e-6)
    try:
        page.start()
        stamps = {codec.timestamp()[:4] for _ in range(50_000)}
    finally:
        done.set()
        page.join()
        sys.setswitchinterval(usual)
    assert "2001" not in stamps


def test_server_frames_have_unique_ids_and_payload_last() -> None:
    one, other = codec.frame("x", {"a": 1}), codec.frame("x", {"a": 1}, traceparent="t")
    assert one.endswith(b'"payload":{"a":1}}')
    assert json.loads(one)["id"] != json.loads(other)["id"]
    assert json.loads(other)["traceparent"] == "t"


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ('{"content":"x"}', "chatId"),
        ('{"chatId":7,"content":"x"}', "chatId"),
        ('{"chatId":"7","content":"x","mentions":["7",8]}', "mentions"),
        ('{"chatId":"7","content":"x","lastSeenSeq":-1}', "lastSeenSeq"),
        ("[]", None),
    ],
)
def test_refusal_names_field_as_on_the_wire(payload: str, field: str | None) -> None:
    decoder = msgspec.json.Decoder(FRAMES["message.send"].frame)
    with pytest.raises(InvalidPayload) as refused:
        codec.read_payload(decoder, msgspec.Raw(payload.encode()))
    assert (refused.value.field or "").split(".")[0] == (field or "")
