"""Summary mode: when a conversation enters it, the content of a summary, when it leaves."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from django.conf import settings

from gateway.bus import Event
from gateway.summaries import SummaryMode

CHAT = 7


@pytest.fixture(autouse=True)
def ten_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    active = replace(settings.LIMITS, summary_per_second=10, summary_interval=0.5, summary_calm=2.0)
    monkeypatch.setattr(settings, "LIMITS", active)


def event(rev: int, *, seq: int | None = None, **more: Any) -> Event:
    return Event(conversation_id=CHAT, seq=rev if seq is None else seq, rev=rev, **more)


def live(mode: SummaryMode, first: int, last: int, at: float) -> list[int]:
    """Count messages at a time. Return the revs of those that are sent as frames."""
    return [rev for rev in range(first, last + 1) if not mode.absorbs(event(rev), at)]


def summary(sent: Event | None) -> dict[str, Any]:
    assert sent is not None
    payload: dict[str, Any] = msgspec.json.decode(sent.frame)["payload"]
    return payload


def test_events_above_the_rate_go_into_a_summary() -> None:
    mode = SummaryMode()

    assert live(mode, 1, 25, at=100.0) == list(range(1, 11))

    sent = summary(mode.end_interval(CHAT, 100.5))
    assert sent == {"chatId": "7", "count": 15, "fromSeq": 11, "toSeq": 25, "rev": 25}


def test_rate_is_counted_anew_every_second() -> None:
    mode = SummaryMode()

    revs = [*live(mode, 1, 10, at=100.0), *live(mode, 11, 20, at=101.0), *live(mode, 21, 30, at=107.3)]

    assert revs == list(range(1, 31))
    assert mode.digest is None


def test_summary_mode_ends_below_half_the_rate() -> None:
    mode = SummaryMode()
    live(mode, 1, 11, at=100.0)
    rev = 11
    for half in range(1, 11):  # 8 a second: above half the rate
        live(mode, rev + 1, rev + 4, at=100.0 + half / 2)
        rev += 4
        assert summary(mode.end_interval(CHAT, 100.0 + half / 2))["toSeq"] == rev
    for half in range(1, 4):  # 4 a second
        live(mode, rev + 1, rev + 2, at=105.0 + half / 2)
        rev += 2
        mode.end_interval(CHAT, 105.0 + half / 2)
        assert mode.digest is not None

    live(mode, rev + 1, rev + 1, at=106.9)
    assert summary(mode.end_interval(CHAT, 107.0))["toSeq"] == rev + 1

    assert mode.digest is None
    assert live(mode, rev + 2, rev + 30, at=107.1) == list(range(rev + 2, rev + 12)), "and the rate begins anew"


def test_interval_without_events_has_no_summary() -> None:
    mode = SummaryMode()
    live(mode, 1, 11, at=100.0)
    mode.end_interval(CHAT, 100.5)

    assert mode.end_interval(CHAT, 101.0) is None
    assert mode.digest is not None


def test_changes_count_for_the_rate_and_advance_only_rev() -> None:
    mode = SummaryMode()
    live(mode, 1, 12, at=100.0)
    mode.end_interval(CHAT, 100.5)

    assert mode.absorbs(event(13, seq=0), 100.6)

    assert summary(mode.end_interval(CHAT, 101.0)) == {"chatId": "7", "count": 0, "fromSeq": 13, "toSeq": 12, "rev": 13}


def test_member_skipped_by_all_events_gets_no_summary() -> None:
    """A member who blocks the only sender of an interval; one visible message is enough for a summary."""
    mode = SummaryMode()
    live(mode, 1, 10, at=100.0)
    mode.absorbs(event(11, skip_users=[1, 2]), 100.0)
    mode.absorbs(event(12, skip_users=[2]), 100.0)

    sent = mode.end_interval(CHAT, 100.5)

    assert sent is not None
    assert sent.skip_users == [2]
    mode.absorbs(event(13), 100.6)
    assert mode.end_interval(CHAT, 101.0).skip_users == []  # type: ignore[union-attr]
