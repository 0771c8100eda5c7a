"""Latencies start at the intended time, fall within the window, and give nearest-rank percentiles."""

import pytest

from bench.figures import percentile, window_figures
from bench.history import FOREIGN, Kind, Row

MS = 1_000_000


def sent(number: int, intended: int, at: int) -> Row:
    return Row(Kind.SENT, at * MS, 1, 7, client=number, other=intended * MS)


def seen(kind: Kind, number: int, at: int) -> Row:
    return Row(kind, at * MS, 1, 7, client=number)


def test_latency_counts_from_the_intended_time() -> None:
    figures = window_figures([sent(1, 100, 150), seen(Kind.ACKED, 1, 160), seen(Kind.DELIVERED, 1, 170)], 0, 1000 * MS)
    assert (figures.ack_ms, figures.delivery_ms) == ([60.0], [70.0])


def test_resent_message_keeps_its_first_intended_time() -> None:
    figures = window_figures([sent(1, 100, 100), sent(1, 100, 900), seen(Kind.ACKED, 1, 910)], 0, 1000 * MS)
    assert figures.ack_ms == [810.0]


def test_figures_count_only_events_within_the_window() -> None:
    rows = [sent(1, 0, 0), *(seen(Kind.ACKED, 1, at) for at in (99, 100, 199, 200))]
    figures = window_figures(rows, 100 * MS, 200 * MS)
    assert figures.acked == 2
    assert figures.seconds == pytest.approx(0.1)


def test_figures_match_a_delivery_with_a_send_in_a_later_history() -> None:
    assert window_figures([seen(Kind.DELIVERED, 1, 5), sent(1, 2, 3)], 0, 10 * MS).delivery_ms == [3.0]


def test_deliveries_of_other_runs_count_without_a_latency() -> None:
    figures = window_figures([seen(Kind.DELIVERED, FOREIGN, 5)], 0, 10 * MS)
    assert (figures.delivered, figures.delivery_ms) == (1, [])


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (95, 95), (99, 99), (100, 100), (0, 1)])
def test_percentiles_are_nearest_ranks(percent: float, value: int) -> None:
    assert percentile(range(1, 101), percent) == value
    assert percentile([], percent) is None
