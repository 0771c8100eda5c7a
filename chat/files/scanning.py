"""Malware scanners: their interface, and ClamAV's daemon by its INSTREAM command over a socket (F221)."""

import socket
import struct
import threading
from contextlib import suppress
from typing import IO, NamedTuple, Protocol
from urllib.parse import urlparse

from django.conf import settings

PIECE_BYTES = 64 * 1024
SEND_SECONDS = 120
# clamd itself gives up on a file after 120 s (MaxScanTime), and may have others before it.
ANSWER_SECONDS = 300
LONGEST_ANSWER = 4096
DEFAULT_PORT = 3310


class ScannerUnavailable(Exception):
    """The scanner does not answer, or not so that it could be understood: the file stays unseen and is tried again."""


# The connections of this process on which a file is being judged, and whether it judges any more.
_busy: set[socket.socket] = set()
_hung_up = threading.Event()


class Verdict(NamedTuple):
    """A scanner's verdict on a file: clean, or the name of the malware."""

    clean: bool
    reason: str = ""


class Scanner(Protocol):
    """Anything that judges files."""

    def scan(self, source: IO[bytes]) -> Verdict:
        """Return the verdict on an open file, read from where it stands. Raises ScannerUnavailable."""


class Clamd:
    """ClamAV's daemon at `tcp://host:port` or `unix:///path`."""

    def __init__(self, address: str) -> None:
        self._address = urlparse(address)

    def scan(self, source: IO[bytes]) -> Verdict:
        """Stream the file to the daemon. A file above its StreamMaxLength is not clean."""
        try:
            with self._connected() as peer:
                _busy.add(peer)
                try:
                    if _hung_up.is_set():
                        raise ScannerUnavailable("this process ends")
                    answer = _stream(peer, source)
                finally:
                    _busy.discard(peer)
        except OSError as fault:
            raise ScannerUnavailable(f"{self._address.geturl()}: {fault}") from fault
        if answer == "stream: OK":
            return Verdict(clean=True)
        if answer.endswith(" FOUND"):
            return Verdict(clean=False, reason=answer.removeprefix("stream: ").removesuffix(" FOUND"))
        if "size limit exceeded" in answer:
            return Verdict(clean=False, reason="larger than the scanner takes")
        raise ScannerUnavailable(f"{self._address.geturl()}: {answer or 'no answer'}")

    def _connected(self) -> socket.socket:
        if self._address.scheme == "unix":
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(SEND_SECONDS)
            peer.connect(self._address.path)
            return peer
        place = (self._address.hostname or "", self._address.port or DEFAULT_PORT)
        return socket.create_connection(place, timeout=SEND_SECONDS)


def _stream(peer: socket.socket, source: IO[bytes]) -> str:
    """Send `zINSTREAM` with length-prefixed pieces, and return the answer without its NUL."""
    try:
        peer.sendall(b"zINSTREAM\0")
        while piece := source.read(PIECE_BYTES):
            peer.sendall(struct.pack("!I", len(piece)) + piece)
        peer.sendall(struct.pack("!I", 0))
    except (BrokenPipeError, ConnectionResetError):
        # It closes the connection for a file that is too large; the answer, if it can still be read, says so.
        return _answer(peer)
    return _answer(peer)


def _answer(peer: socket.socket) -> str:
    answer = b""
    peer.settimeout(ANSWER_SECONDS)
    while len(answer) < LONGEST_ANSWER and not answer.endswith(b"\0"):
        piece = peer.recv(LONGEST_ANSWER)
        if not piece:
            break
        answer += piece
    return answer.rstrip(b"\0\n").decode(errors="replace")


def abort_scans() -> None:
    """Break off every scan of this process, from another thread, and let none begin: each ends with ScannerUnavailable."""
    _hung_up.set()
    for peer in tuple(_busy):
        with suppress(OSError):
            peer.shutdown(socket.SHUT_RDWR)


def scanner() -> Scanner | None:
    """Return the scanner of the settings (`PARLEY_CLAMD`), None where none is."""
    return Clamd(settings.CLAMD) if settings.CLAMD else None
