"""A lean WebSocket client for load: many connections on one epoll loop, frames split by their headers alone.

Covers RFC 6455 as servers use it with a client without extensions; knows nothing of Parley. The mask of every frame is
00000000, which is legal and costs nothing.
"""

import base64
import heapq
import os
import select
import socket
import time
from collections.abc import Callable

RECEIVE = 65536


class WireError(Exception):
    """The server sent a frame that this client cannot read: fragmented, or forbidden by RFC 6455."""


def handshake_request(host: str, port: int, path: str, headers: dict[str, str]) -> bytes:
    """Return the HTTP request for the upgrade to a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def encode_frame(payload: bytes, opcode: int = 1) -> bytes:
    """Return one final client frame, masked with zeros."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, 0x80 | size, 0, 0, 0, 0)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big") + b"\0\0\0\0" + payload
    return bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big") + b"\0\0\0\0" + payload


class Loop:
    """An epoll loop with links and timers. `now` is the monotonic time in nanoseconds, read once for each wake-up."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.ready: dict[int, Callable[[int], None]] = {}
        self.timers: list[tuple[int, int, Callable[[], None]]] = []
        self.order = 0
        self.now = time.monotonic_ns()

    def add_reader(self, fd: int, ready: Callable[[int], None]) -> None:
        self.ready[fd] = ready
        self.epoll.register(fd, select.EPOLLIN)

    def remove_reader(self, fd: int) -> None:
        del self.ready[fd]
        self.epoll.unregister(fd)

    def call_at(self, due: int, call: Callable[[], None]) -> None:
        """Schedule one call at a monotonic time in nanoseconds."""
        self.order += 1
        heapq.heappush(self.timers, (due, self.order, call))

    def run(self, until: Callable[[], bool], deadline: int | None = None) -> bool:
        """Serve links and timers until `until()` is true; return False if the deadline (nanoseconds) came first."""
        if deadline is not None:
            self.call_at(deadline, lambda: None)
        while not until():
            if deadline is not None and self.now >= deadline:
                return False
            self.run_once()
        return True

    def run_once(self) -> None:
        """Wait for the next event or timer, and serve all that are due."""
        events = self.epoll.poll(self.seconds_to_next_timer(), 1024)
        self.now = time.monotonic_ns()
        for fd, mask in events:
            ready = self.ready.get(fd)
            if ready is not None:
                ready(mask)
        while self.timers and self.timers[0][0] <= self.now:
            heapq.heappop(self.timers)[2]()

    def seconds_to_next_timer(self) -> float | None:
        """Return the seconds that epoll may sleep. Its unit is 1 ms, so this method sleeps the last 2 ms by select."""
        if not self.timers:
            return None
        seconds = (self.timers[0][0] - time.monotonic_ns()) / 1e9
        if seconds <= 0:
            return 0
        if seconds < 0.002:
            select.select([self.epoll.fileno()], [], [], seconds)
            return 0
        return seconds - 0.001


class Link:
    """One WebSocket connection. Subclasses override `on_open`, `on_text` and `on_close`."""

    __slots__ = ("fd", "loop", "open", "sock", "unread", "unsent")

    def __init__(self, loop: Loop, address: tuple[str, int], path: str, headers: dict[str, str]) -> None:
        """Connect and request the upgrade; `on_open` follows. Raises OSError if no server listens."""
        self.loop, self.unread, self.unsent, self.open = loop, b"", b"", False
        self.sock = socket.create_connection(address, timeout=10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.fd = self.sock.fileno()
        loop.add_reader(self.fd, self.on_events)
        self.write(handshake_request(address[0], address[1], path, headers))

    def on_open(self) -> None:
        """Called after the upgrade."""

    def on_text(self, body: bytes) -> None:
        """Called for each text frame."""

    def on_close(self, code: int, reason: str) -> None:
        """Called at the end of the connection; the code is 1006 without a close frame."""

    def on_events(self, mask: int) -> None:
        if mask & select.EPOLLOUT:
            self.flush()
        if not mask & ~select.EPOLLOUT:
            return
        try:
            data = self.sock.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close(1006, "")
            return
        if self.unread:
            data = self.unread + data
        self.unread = self.read_frames(data) if self.open else self.upgrade(data)

    def upgrade(self, data: bytes) -> bytes:
        """Read the answer to the handshake, and the frames that came with it."""
        head, separator, rest = data.partition(b"\r\n\r\n")
        if not separator:
            return data
        if not head.startswith(b"HTTP/1.1 101"):
            self.close(1006, head.split(b"\r\n")[0].decode("latin-1"))
            return b""
        self.open = True
        self.on_open()
        return self.read_frames(rest)

    def read_frames(self, data: bytes) -> bytes:
        """Handle every complete frame in `data` and return the remaining bytes."""
        at, end = 0, len(data)
        while end - at >= 2:
            first, size = data[at], data[at + 1]
            start = at + 2
            if size == 126:
                start = at + 4
                size = int.from_bytes(data[at + 2 : start], "big")
            elif size == 127:
                start = at + 10
                size = int.from_bytes(data[at + 2 : start], "big")
            if start + size > end or start > end:
                break
            at = start + size
            if first == 0x81:
                self.on_text(data[start:at])
            else:
                self.on_control(first, data[start:at])
        return data[at:]

    def on_control(self, first: int, body: bytes) -> None:
        if first == 0x89:
            self.write(encode_frame(body, 0xA))
        elif first == 0x88:
            self.close(int.from_bytes(body[:2], "big") if body else 1005, body[2:].decode("utf-8", "replace"))
        elif first != 0x8A:
            raise WireError(f"a frame that begins with {first:#x}")

    def write(self, data: bytes) -> None:
        """Send bytes now, or when the socket is writable."""
        if self.unsent:
            self.unsent += data
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the read side notices the end of the connection
        if sent < len(data):
            self.unsent = data[sent:]
            self.loop.epoll.modify(self.fd, select.EPOLLIN | select.EPOLLOUT)

    def flush(self) -> None:
        data, self.unsent = self.unsent, b""
        self.loop.epoll.modify(self.fd, select.EPOLLIN)
        self.write(data)

    def close(self, code: int, reason: str) -> None:
        """Close the socket and call `on_close`, once."""
        if self.fd < 0:
            return
        self.loop.remove_reader(self.fd)
        self.sock.close()
        self.fd = -1
        self.on_close(code, reason)
