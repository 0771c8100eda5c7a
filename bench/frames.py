"""The shapes of the frames that a load client reads and writes, with only the fields that it uses."""

import time
from typing import NamedTuple

import msgspec

from bench.wire import encode_frame

NEW = b'{"type":"message.new",'
ACK = b'{"type":"ack",'


class Shape(msgspec.Struct, rename="camel"):
    """Part of a server's frame; the decoder skips fields that have no attribute here."""


class Type(Shape):
    type: str


class Person(Shape):
    id: int


class Message(Shape):
    id: int
    seq: int
    rev: int
    sender: Person
    client_id: str | None = None
    content: str | None = None


class New(Shape):
    chat_id: int
    message: Message


class NewFrame(Shape):
    payload: New


class Fault(Shape):
    code: str = "INTERNAL"
    message: str = ""
    retry_after: float | None = None


class Ack(Shape):
    ref_id: str
    status: str
    message_id: int = 0
    seq: int = 0
    rev: int = 0
    duplicate: bool = False
    error: Fault | None = None


class AckFrame(Shape):
    payload: Ack


class ErrorFrame(Shape):
    payload: Fault


class SyncChat(Shape):
    chat_id: int
    seq: int
    rev: int
    messages: list[Message] = []
    has_more: bool = False
    too_large: bool = False


class SyncAnswer(Shape):
    chats: list[SyncChat]


class SyncFrame(Shape):
    payload: SyncAnswer


class Summary(Shape):
    chat_id: str


class SummaryFrame(Shape):
    payload: Summary


class Page(Shape):
    """`GET /conversations/{id}/messages` (protocol 3.1)."""

    results: list[Message]
    has_more: bool


class Arrival(NamedTuple):
    """A live message with its ids as numbers and the digest of its text."""

    wire_id: str
    chat: int
    seq: int
    rev: int
    client: int
    sender: int
    digest: int


# Not strict: ids are strings on the wire and numbers here.
read_type = msgspec.json.Decoder(Type).decode
read_new = msgspec.json.Decoder(NewFrame, strict=False).decode
read_ack = msgspec.json.Decoder(AckFrame, strict=False).decode
read_error = msgspec.json.Decoder(ErrorFrame).decode
read_sync = msgspec.json.Decoder(SyncFrame, strict=False).decode
read_summary = msgspec.json.Decoder(SummaryFrame).decode
read_page = msgspec.json.Decoder(Page, strict=False).decode
encode = msgspec.json.encode


_second, _text = 0, ""


def stamp() -> str:
    """Return the current second as a timestamp; the server does not order by it (protocol 2)."""
    global _second, _text
    now = int(time.time())
    if now != _second:
        _second, _text = now, time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now))
    return _text


def envelope(kind: str, id_: str, payload: str) -> bytes:
    """Return a client's frame as bytes for the socket; `payload` is JSON."""
    return encode_frame(f'{{"type":"{kind}","id":"{id_}","timestamp":"{stamp()}","payload":{payload}}}'.encode())


def send(id_: str, chat: str, content: str, last_seen: int) -> bytes:
    text = encode(content).decode()
    return envelope("message.send", id_, f'{{"chatId":"{chat}","content":{text},"lastSeenSeq":{last_seen}}}')


def mark(id_: str, chat: str, seq: int) -> bytes:
    return envelope("message.delivered", id_, f'{{"chatId":"{chat}","seq":{seq}}}')


def sync(id_: str, chats: dict[str, dict[str, int]]) -> bytes:
    return envelope("sync.request", id_, encode({"chats": chats}).decode())


def ping(id_: str) -> bytes:
    return envelope("ping", id_, "{}")
