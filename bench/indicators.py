"""Clients that send and receive indicators in JSON or in bytes (protocol 2.5), and a meter of their bytes on the wire.

Unlike `bench.client` they keep no history: what they measure is indicators, not messages.
"""

import json
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from bench import frames
from bench.wire import Link, Loop, encode_frame

BINARY = 2
TYPING, DELIVERED, SEEN, ACTIVE, USER = 1, 4, 8, 16, 32
MESSAGES = {"message.send", "message.new", "ack"}
NAMES = {TYPING | ACTIVE: "typing.start", TYPING: "typing.stop", DELIVERED: "message.delivered", SEEN: "read.mark"}
STATES = {"delivery.receipt": DELIVERED, "read.receipt": SEEN}
HEADER = 2
MASK = 4
OnReceipt = Callable[["Person", int, int, int], None]  # receiver, state, chat, seq


class Meter:
    """Bytes of frames in both directions: `content` alone, and `wire` with WebSocket headers and masks."""

    def __init__(self) -> None:
        self.content: Counter[str] = Counter()
        self.wire: Counter[str] = Counter()
        self.frames: Counter[str] = Counter()

    def count(self, kind: str, size: int, mask: int) -> None:
        self.frames[kind] += 1
        self.content[kind] += size
        self.wire[kind] += size + HEADER + mask + (2 if size > 125 else 0)

    def percent(self, counted: "Counter[str]") -> float | None:
        """Return the bytes of indicators in percent of the bytes of messages; None without messages."""
        return counted["indicator"] * 100 / counted["message"] if counted["message"] else None


def encode_number(value: int) -> bytes:
    """Return an unsigned LEB128 number."""
    if value < 0x80:
        return bytes((value,))
    return bytes((value & 0x7F | 0x80,)) + encode_number(value >> 7)


def decode_number(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        digit = content[at]
        value, shift, at = value | (digit & 0x7F) << shift, shift + 7, at + 1
        if digit < 0x80:
            return value, at


class Person(Link):
    """One connected client. It calls `on_message` and `on_receipt` for arriving frames and sends nothing on its own."""

    def __init__(
        self, loop: Loop, address: tuple[str, int], user: int, token: str, meter: Meter, *, compact: bool
    ) -> None:
        self.user, self.meter, self.compact = user, meter, compact
        self.ready, self.acked = False, 0
        self.aliases: dict[int, int] = {}
        self.chats: dict[int, int] = {}
        self.on_message: Callable[[Person, int, int, str], None] = lambda person, chat, seq, text: None
        self.on_receipt: OnReceipt = lambda person, state, chat, seq: None
        headers = {"Authorization": f"Bearer {token}", "Sec-WebSocket-Protocol": "parley.v1"}
        super().__init__(loop, address, "/ws/v1?compact=1" if compact else "/ws/v1", headers)

    def send_message(self, chat: int, text: str) -> None:
        self.send_frame("message.send", {"chatId": str(chat), "content": text})

    def send_indicator(self, state: int, chat: int, seq: int = 0) -> None:
        """Send an indicator, in bytes or in JSON."""
        if not self.compact:
            self.send_frame(NAMES[state], {"chatId": str(chat)} | ({"seq": seq} if seq else {}))
            return
        content = bytes((state,)) + encode_number(self.aliases[chat]) + (encode_number(seq) if seq else b"")
        self.meter.count("indicator", len(content), MASK)
        self.write(encode_frame(content, BINARY))

    def send_frame(self, kind: str, payload: dict[str, Any]) -> None:
        data = frames.envelope(kind, str(uuid.uuid4()), json.dumps(payload, separators=(",", ":"), ensure_ascii=False))
        size = len(data) - HEADER - MASK - (2 if len(data) > 125 + HEADER + MASK else 0)
        self.meter.count("message" if kind in MESSAGES else "indicator", size, MASK)
        self.write(data)

    def on_control(self, first: int, body: bytes) -> None:
        if first == 0x80 | BINARY:
            self.receive_indicators(body)
        else:
            super().on_control(first, body)

    def receive_indicators(self, content: bytes) -> None:
        self.meter.count("indicator", len(content), 0)
        at = 0
        while at < len(content):
            flags = content[at]
            alias, at = decode_number(content, at + 1)
            seq = 0
            if flags & (DELIVERED | SEEN):
                seq, at = decode_number(content, at)
            if flags & USER:
                _, at = decode_number(content, at)
            self.on_receipt(self, flags & ~USER, self.chats[alias], seq)

    def on_text(self, body: bytes) -> None:
        said = msgspec.json.decode(body)
        kind, payload = said["type"], said["payload"]
        if kind in MESSAGES:
            self.meter.count("message", len(body), 0)
        elif kind == "typing.indicator" or kind in STATES:
            self.meter.count("indicator", len(body), 0)
        if kind == "message.new":
            message = payload["message"]
            self.on_message(self, int(payload["chatId"]), message["seq"], message["content"])
        elif kind in STATES:
            for receipt in payload["receipts"]:
                self.on_receipt(self, STATES[kind], int(payload["chatId"]), receipt["seq"])
        elif kind == "hello":
            self.aliases = {int(chat): alias for chat, alias in payload.get("aliases", {}).items()}
            self.chats = {alias: chat for chat, alias in self.aliases.items()}
            self.ready = True
        elif kind == "ack" and payload["status"] == "ok":
            self.acked += 1
        elif kind in ("ack", "error"):
            raise RuntimeError(f"refused: {payload}")

    def on_close(self, code: int, reason: str) -> None:
        if self.ready:
            self.ready = False
            raise RuntimeError(f"closed by the server: {code} {reason}")

    def disconnect(self) -> None:
        """Close the connection with code 1000."""
        self.ready = False
        self.write(encode_frame(b"\x03\xe8", 8))
        self.close(1000, "")
