"""A day of IRC is read as it is, dirt included, and its messages are due in their order."""

import gzip
from pathlib import Path

import pytest

from bench.irc import Line, busiest, lines
from bench.scenarios.replay import moments

LOG = (
    b"=== ann [~a@host]  has joined #ubuntu\n"
    b"[23:58] <ann> hello\n"
    b"=== ann waves\n"
    b"[23:58] <bob> caf\xe9 \x00\x02bold\x02\r\n"
    b"[23:59] <ann>   \n"
    b"[00:01] <ann> <bob> quoted [12:00] <x>\n"
    b"[00:00] <b|ob> late\n"
)


def test_messages_are_found_and_nothing_else() -> None:
    assert lines(LOG) == [
        Line(1438, "ann", "hello"),
        Line(1438, "bob", "caf\ufffd \ufffd\x02bold\x02"),
        Line(1441, "ann", "<bob> quoted [12:00] <x>"),
        Line(1441, "b|ob", "late"),
    ]


def test_messages_of_a_minute_are_spread_over_it_and_keep_their_order() -> None:
    assert moments(lines(LOG), 60) == [0, 500_000_000, 3_000_000_000, 3_500_000_000]


def test_the_day_with_the_most_speakers_is_taken(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_bytes(b"[10:00] <ann> hi\n[10:01] <ann> hi\n")
    (tmp_path / "2.log.gz").write_bytes(gzip.compress(LOG))
    name, day = busiest(tmp_path)
    assert (name, len(day)) == ("2.log.gz", 4)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no .*log"):
        busiest(tmp_path)
