"""The lean WebSocket client reads frames from any split of the bytes, and writes frames as RFC 6455 allows."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from bench.wire import Link, Loop, WireError, encode_frame
from tests.bench.standin import Standin


class Recorder(Link):
    """A link without a socket that records its calls."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.written = b""
        self.ended: tuple[int, str] | None = None
        self.unread, self.open = b"", True

    def on_text(self, body: bytes) -> None:
        self.texts.append(body)

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self, code: int, reason: str) -> None:
        self.ended = code, reason

    def feed(self, data: bytes) -> None:
        self.unread = self.read_frames(self.unread + data)


def from_server(opcode: Opcode, body: bytes) -> bytes:
    return Frame(opcode, body).serialize(mask=False)


def read_by_server(data: bytes) -> Frame:
    reader = StreamReader()
    reader.feed_data(data)
    with pytest.raises(StopIteration) as done:
        next(Frame.parse(reader.read_exact, mask=True, max_size=None))
    parsed: Frame = done.value.value
    return parsed


@given(
    sizes=st.lists(st.sampled_from([0, 1, 125, 126, 127, 300, 65535, 65536, 70000]), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 40000), max_size=8),
)
def test_frames_of_every_size_are_read_from_any_split_of_the_bytes(sizes: list[int], cuts: list[int]) -> None:
    bodies = [b"x" * size for size in sizes]
    data = b"".join(from_server(Opcode.TEXT, body) for body in bodies)
    link = Recorder()
    for cut in cuts:
        link.feed(data[:cut])
        data = data[cut:]
    for place in range(0, len(data), 1 + len(data) // 50):
        link.feed(data[place : place + 1 + len(data) // 50])
    assert link.texts == bodies
    assert link.unread == b""


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_client_frame_is_masked(size: int) -> None:
    parsed = read_by_server(encode_frame(b"x" * size))
    assert (parsed.opcode, parsed.data, parsed.fin) == (Opcode.TEXT, b"x" * size, True)


def test_ping_is_answered_with_the_same_body() -> None:
    link = Recorder()
    link.feed(from_server(Opcode.PING, b"you?"))
    answer = read_by_server(link.written)
    assert (answer.opcode, answer.data) == (Opcode.PONG, b"you?")


def test_close_frame_gives_code_and_reason() -> None:
    link = Recorder()
    link.feed(from_server(Opcode.CLOSE, (4503).to_bytes(2, "big") + b"7"))
    assert link.ended == (4503, "7")


def test_fragmented_frame_raises_wire_error() -> None:
    with pytest.raises(WireError):
        Recorder().feed(Frame(Opcode.TEXT, b"half", fin=False).serialize(mask=False))


def test_timers_fire_in_order_and_not_early() -> None:
    loop, start, called = Loop(), time.monotonic_ns(), list[tuple[str, int]]()
    for name, after in (("late", 6_000_000), ("early", 1_500_000)):
        loop.call_at(start + after, lambda name=name: called.append((name, time.monotonic_ns() - start)))  # type: ignore[misc]
    assert loop.run(lambda: len(called) == 2, start + 5_000_000_000)
    assert [name for name, _ in called] == ["early", "late"]
    assert called[0][1] >= 1_500_000
    assert called[1][1] >= 6_000_000


@pytest.fixture
def server() -> Iterator[Standin]:
    standin = Standin()
    yield standin
    standin.stop()


def test_refused_handshake_closes_the_link_with_its_status_line(server: Standin) -> None:
    ended: list[tuple[int, str]] = []

    class Refused(Link):
        def on_close(self, code: int, reason: str) -> None:
            ended.append((code, reason))

    loop = Loop()
    Refused(loop, server.address, "/elsewhere", {"Authorization": "Bearer 1", "Sec-WebSocket-Version": "99"})
    assert loop.run(lambda: bool(ended), time.monotonic_ns() + 5_000_000_000)
    assert ended[0][0] == 1006
    assert ended[0][1].startswith("HTTP/1.1 ")
