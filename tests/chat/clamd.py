"""A daemon that speaks ClamAV's INSTREAM over a real socket, in this process: it finds the EICAR test file."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

# Split, so that no scanner takes this source for the test file.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + rb"ANTIVIRUS-TEST-FILE!$H+H*"


class Daemon:
    """Its address, what it was sent, and what it says: `most` bytes are taken; `answer` replaces its own verdict."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET, place: str | None = None) -> None:
        self.listener = socket.socket(family)
        self.listener.bind(place if place is not None else ("127.0.0.1", 0))
        self.listener.listen()
        self.address = f"unix://{place}" if place is not None else f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.most = 25 * 2**20
        self.answer: bytes | None = None
        self.received: list[bytes] = []

    def serve(self) -> None:
        """Answer one connection after the other, until the listener is closed."""
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            with peer, peer.makefile("rb") as stream:
                peer.sendall(self._verdict(stream) + b"\0")

    def _verdict(self, stream: BinaryIO) -> bytes:
        if stream.read(10) != b"zINSTREAM\0":
            return b"UNKNOWN COMMAND"
        body = b""
        while length := struct.unpack("!I", stream.read(4))[0]:
            body += stream.read(length)
            if len(body) > self.most:
                return b"INSTREAM size limit exceeded. ERROR"
        self.received.append(body)
        if self.answer is not None:
            return self.answer
        return b"stream: Eicar-Test-Signature FOUND" if EICAR in body else b"stream: OK"


@contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """Run a daemon for the length of a block."""
    thread = threading.Thread(target=daemon.serve, daemon=True)
    thread.start()
    try:
        yield daemon
    finally:
        daemon.listener.shutdown(socket.SHUT_RDWR)
        daemon.listener.close()
        thread.join(10)
