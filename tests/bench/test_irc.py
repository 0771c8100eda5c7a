"""A day of IRC is parsed with its malformed lines, and its messages are due in their order."""

import gzip
from pathlib import Path

import pytest

from bench.irc import Line, busiest_day, parse_lines
from bench.scenarios.replay import due_times

LOG = (
    b"=== ann [~a@host]  has joined #ubuntu\n"
    b"[23:58] <ann> hello\n"
    b"=== ann waves\n"
    b"[23:58] <bob> caf\xe9 \x00\x02bold\x02\r\n"
    b"[23:59] <ann>   \n"
    b"[00:01] <ann> <bob> quoted [12:00] <x>\n"
    b"[00:00] <b|ob> late\n"
)


def test_irc_parser_reads_messages_and_skips_other_lines() -> None:
    assert parse_lines(LOG) == [
        Line(1438, "ann", "hello"),
        Line(1438, "bob", "caf\ufffd \ufffd\x02bold\x02"),
        Line(1441, "ann", "<bob> quoted [12:00] <x>"),
        Line(1441, "b|ob", "late"),
    ]


def test_irc_messages_of_a_minute_are_spread_over_it_in_order() -> None:
    assert due_times(parse_lines(LOG), 60) == [0, 500_000_000, 3_000_000_000, 3_500_000_000]


def test_busiest_day_is_the_log_with_the_most_speakers(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_bytes(b"[10:00] <ann> hi\n[10:01] <ann> hi\n")
    (tmp_path / "2.log.gz").write_bytes(gzip.compress(LOG))
    name, day = busiest_day(tmp_path)
    assert (name, len(day)) == ("2.log.gz", 4)


def test_folder_without_logs_raises_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no .*log"):
        busiest_day(tmp_path)
