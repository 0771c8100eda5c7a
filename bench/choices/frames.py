"""Decision 0005: the cost of reading a `message.send` and writing a `message.new`, by msgspec and by DRF's serializers.

The serializers check what the structs check; both read the same bytes and write the same JSON.
"""

import json
import os
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

os.environ.setdefault("PARLEY_DEMO", "1")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

import msgspec  # noqa: E402
from rest_framework import serializers  # noqa: E402

from bench.choices.machine import machine  # noqa: E402
from chat.frames import Message, MessageNew, Person, Send  # noqa: E402
from gateway import codec  # noqa: E402

TIMES = 5_000
ROUNDS = 5
RECEIVED = json.dumps(
    {"type": "message.send", "id": str(uuid.uuid4()), "payload": {"chatId": "764713711821651985", "content": "x" * 80}}
)
SENT = Message(
    id="764714385779195935", chat_id="764713711821651985", seq=4, rev=5, client_id=str(uuid.uuid4()), version=1,
    sender=Person(id="764713708222939137", display_name="Ada Lovelace"), content_type="text", content="x" * 80,
    data=None, reply_to=None, attachments=[], mentions=[], reactions=[], priority="normal", status="active",
    created_at="2026-11-21T02:30:58.638Z", edited_at=None, last_seen_seq=None,
)  # fmt: skip
decoder = msgspec.json.Decoder(Send)


class EnvelopeSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    id = serializers.CharField(max_length=64)
    payload = serializers.DictField()


class SendSerializer(serializers.Serializer[Any]):
    chatId = serializers.RegexField(r"^[0-9]{1,19}$")
    content = serializers.CharField(trim_whitespace=False)
    contentType = serializers.CharField(default="text")
    replyTo = serializers.RegexField(r"^[0-9]{1,19}$", required=False, allow_null=True)
    attachments = serializers.ListField(child=serializers.CharField(), default=list)
    mentions = serializers.ListField(child=serializers.RegexField(r"^[0-9]{1,19}$"), default=list)
    priority = serializers.CharField(default="normal")
    lastSeenSeq = serializers.IntegerField(min_value=0, required=False, allow_null=True)


class PersonSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    displayName = serializers.CharField(source="display_name")


class MessageSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    chatId = serializers.CharField(source="chat_id")
    seq = serializers.IntegerField()
    rev = serializers.IntegerField()
    clientId = serializers.CharField(source="client_id")
    version = serializers.IntegerField()
    sender = PersonSerializer()
    contentType = serializers.CharField(source="content_type")
    content = serializers.CharField()
    data = serializers.JSONField()  # type: ignore[assignment]
    replyTo = serializers.JSONField(source="reply_to")
    attachments = serializers.ListField()
    mentions = serializers.ListField(child=serializers.CharField())
    reactions = serializers.ListField()
    priority = serializers.CharField()
    status = serializers.CharField()
    createdAt = serializers.CharField(source="created_at")
    editedAt = serializers.CharField(source="edited_at")
    lastSeenSeq = serializers.IntegerField(source="last_seen_seq")
    expiresAt = serializers.CharField(source="expires_at")


def read_by_structs() -> str:
    return codec.read_payload(decoder, codec.read_envelope(RECEIVED).payload).content


def read_by_serializers() -> str:
    envelope = EnvelopeSerializer(data=json.loads(RECEIVED))
    envelope.is_valid(raise_exception=True)
    payload = SendSerializer(data=envelope.validated_data["payload"])
    payload.is_valid(raise_exception=True)
    return str(payload.validated_data["content"])


def write_by_structs() -> bytes:
    return codec.encode(MessageNew(chat_id=SENT.chat_id, message=SENT))


def write_by_serializers() -> bytes:
    return json.dumps({"chatId": SENT.chat_id, "message": MessageSerializer(SENT).data}, separators=(",", ":")).encode()


def measure(job: Callable[[], object]) -> float:
    """Return the CPU microseconds of one call."""
    before = time.process_time()
    for _ in range(TIMES):
        job()
    return 1e6 * (time.process_time() - before) / TIMES


def main() -> None:
    assert read_by_structs() == read_by_serializers()
    assert json.loads(write_by_structs()) == json.loads(write_by_serializers())
    jobs = (read_by_structs, read_by_serializers, write_by_structs, write_by_serializers)
    print(machine(), f"\nmedian of {ROUNDS} times {TIMES}")
    costs: dict[str, list[float]] = {job.__name__: [] for job in jobs}
    for _ in range(ROUNDS):
        for job in jobs:
            costs[job.__name__].append(measure(job))
    for name, runs in costs.items():
        print(f"{name.replace('_', ' '):<24}{statistics.median(runs):>8.1f} µs of CPU")


if __name__ == "__main__":
    main()
