"""The flat object has the required keys, and a fault fails the run."""

from collections import Counter

import pytest

from bench import report
from bench.checker import Verdict
from bench.figures import Figures
from bench.limits import Limit, Limits
from bench.run import Result

NAMED = {
    "scenario", "unit", "per_s", "cpu_ms_per_unit", "ack_p50_ms", "ack_p99_ms", "delivery_p50_ms", "delivery_p99_ms",
    "sent", "acked", "stored", "delivered", "lost", "duplicated", "out_of_order", "leaks", "limit_ratio",
    "over_floor",
}  # fmt: skip


def result(verdict: Verdict) -> Result:
    figures = Figures(10.0, 5000, 5000, [1.0, 2.0, 30.0], [4.0])
    limits = Limits(Limit(2000, 0.1), Limit(1000, 0.2))
    return Result("send", "message", 5000, 10.0, {"web": 1.0, "redis": 0.5}, figures, verdict, limits, Counter(),
                  {"own": 7}, floor_cpu_ms=0.06)  # fmt: skip


def test_report_has_every_required_key_even_without_a_measurement() -> None:
    assert report.flatten(result(Verdict())).keys() >= NAMED
    assert report.flatten(Result("footprint", "server", 1)).keys() >= NAMED


def test_report_computes_rates_latencies_and_ratios() -> None:
    row = report.flatten(result(Verdict(sent=5, lost_acks=1, lost_deliveries=2)))
    assert (row["per_s"], row["cpu_ms_per_unit"], row["cpu_ms_web"]) == (500.0, 0.3, 0.2)
    assert (row["ack_p50_ms"], row["ack_p99_ms"], row["delivery_p50_ms"]) == (2.0, 30.0, 4.0)
    assert (row["limit_ratio"], row["own"], row["sent"], row["lost"]) == (0.5, 7, 5, 3)


def test_over_floor_is_the_cpu_of_a_unit_over_its_floor() -> None:
    assert report.flatten(result(Verdict()))["over_floor"] == 5.0
    assert "over_floor" in report.format_table(result(Verdict()))


def test_floor_of_a_message_is_two_and_a_half_echoes_and_one_insert() -> None:
    assert Limits(Limit(2000, 0.1), Limit(1000, 0.2)).message_cpu_ms == pytest.approx(0.6)


def test_table_gives_the_reason_for_a_missing_floor() -> None:
    footprint = Result("footprint", "server", 1, no_floor="nothing is done")
    assert report.flatten(footprint)["over_floor"] is None
    assert "none: nothing is done" in report.format_table(footprint)


def test_every_fault_fails_the_run() -> None:
    assert report.find_faults(result(Verdict(sent=1, acked=1, by_sync=3, refused=2))) == {}
    for name in (
        "lost_acks",
        "lost_deliveries",
        "duplicated",
        "out_of_order",
        "leaks",
        "phantom",
        "gaps",
        "unfinished",
    ):
        assert report.find_faults(result(Verdict(**{name: 1}))) == {name: 1}  # type: ignore[arg-type]


def test_protocol_breach_fails_the_run() -> None:
    broken = result(Verdict())
    broken.counts["BREACH: a message before hello"] = 2
    assert report.find_faults(broken) == {"BREACH: a message before hello": 2}


def test_table_shows_examples_of_faults() -> None:
    verdict = Verdict()
    assert "no fault" in report.format_table(result(verdict))
    verdict.add_fault("leaks", "user 3 is no member")
    assert "FAULT leaks: user 3 is no member" in report.format_table(result(verdict))


def test_machine_line_names_cores_and_python() -> None:
    assert "cores" in report.describe_machine()
    assert "Python 3." in report.describe_machine()
