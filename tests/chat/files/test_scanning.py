"""ClamAV's protocol, against a daemon that speaks it on real sockets."""

import io
import socket
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from chat.files import scanning
from chat.files.scanning import Clamd, ScannerUnavailable, Verdict
from tests.chat.clamd import EICAR, Daemon, running


def test_scanner_receives_the_whole_file() -> None:
    whole = bytes(range(256)) * 1024
    with running(Daemon()) as daemon:
        verdict = Clamd(daemon.address).scan(io.BytesIO(whole))

    assert verdict == Verdict(clean=True)
    assert daemon.received == [whole]


def test_scanner_verdict_names_the_malware() -> None:
    with running(Daemon()) as daemon:
        verdict = Clamd(daemon.address).scan(io.BytesIO(b"before" + EICAR))

    assert verdict == Verdict(clean=False, reason="Eicar-Test-Signature")


def test_scanner_is_reachable_over_a_unix_socket(tmp_path: Path) -> None:
    with running(Daemon(socket.AF_UNIX, str(tmp_path / "clamd"))) as daemon:
        assert Clamd(daemon.address).scan(io.BytesIO(b"fine")).clean


def test_file_above_the_scanners_limit_is_not_clean() -> None:
    daemon = Daemon()
    daemon.most = 1000
    with running(daemon):
        verdict = Clamd(daemon.address).scan(io.BytesIO(b"x" * 1001))

    assert not verdict.clean and "larger" in verdict.reason


@pytest.mark.parametrize("answer", [b"stream: Cannot allocate memory ERROR", b"", b"nonsense"], ids=repr)
def test_unreadable_scanner_answer_raises(answer: bytes) -> None:
    daemon = Daemon()
    daemon.answer = answer
    with running(daemon), pytest.raises(ScannerUnavailable):
        Clamd(daemon.address).scan(io.BytesIO(b"fine"))


def test_unavailable_scanner_raises_instead_of_judging() -> None:
    with running(Daemon()) as daemon:
        address = daemon.address

    with pytest.raises(ScannerUnavailable):
        Clamd(address).scan(io.BytesIO(b"fine"))


def test_scanner_is_off_without_an_address(settings: Settings) -> None:
    settings.CLAMD = ""
    assert scanning.scanner() is None

    settings.CLAMD = "tcp://127.0.0.1:3310"
    assert scanning.scanner() is not None
