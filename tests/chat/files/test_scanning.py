"""ClamAV's protocol, against a daemon that speaks it on real sockets."""

import io
import socket
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from chat.files import scanning
from chat.files.scanning import Clamd, ScannerAway, Verdict
from tests.chat.clamd import EICAR, Daemon, running


def test_a_clean_file_is_streamed_whole_and_found_clean() -> None:
    whole = bytes(range(256)) * 1024
    with running(Daemon()) as daemon:
        verdict = Clamd(daemon.address).judge(io.BytesIO(whole))

    assert verdict == Verdict(clean=True)
    assert daemon.received == [whole]


def test_malware_is_named() -> None:
    with running(Daemon()) as daemon:
        verdict = Clamd(daemon.address).judge(io.BytesIO(b"before" + EICAR))

    assert verdict == Verdict(clean=False, reason="Eicar-Test-Signature")


def test_a_socket_of_the_machine_does_as_well(tmp_path: Path) -> None:
    with running(Daemon(socket.AF_UNIX, str(tmp_path / "clamd"))) as daemon:
        assert Clamd(daemon.address).judge(io.BytesIO(b"fine")).clean


def test_what_is_larger_than_the_scanner_takes_is_not_clean() -> None:
    daemon = Daemon()
    daemon.most = 1000
    with running(daemon):
        verdict = Clamd(daemon.address).judge(io.BytesIO(b"x" * 1001))

    assert not verdict.clean and "larger" in verdict.reason


@pytest.mark.parametrize("answer", [b"stream: Cannot allocate memory ERROR", b"", b"nonsense"], ids=repr)
def test_an_answer_that_is_no_verdict_is_none(answer: bytes) -> None:
    daemon = Daemon()
    daemon.answer = answer
    with running(daemon), pytest.raises(ScannerAway):
        Clamd(daemon.address).judge(io.BytesIO(b"fine"))


def test_a_scanner_that_is_away_is_no_verdict() -> None:
    with running(Daemon()) as daemon:
        address = daemon.address

    with pytest.raises(ScannerAway):
        Clamd(address).judge(io.BytesIO(b"fine"))


def test_without_an_address_there_is_no_scanner(settings: Settings) -> None:
    settings.CLAMD = ""
    assert scanning.scanner() is None

    settings.CLAMD = "tcp://127.0.0.1:3310"
    assert scanning.scanner() is not None
