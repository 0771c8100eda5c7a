"""How much load is too much, and for how long new connections are kept out (U5, U15)."""

from django.conf import settings

from gateway.shedding import HYSTERESIS_SECONDS, Load, reconnect_delay


def test_a_lag_above_nine_tenths_of_the_limit_keeps_newcomers_out_for_a_while() -> None:
    load, full = Load(), settings.LIMITS.overload_lag
    load.note(0.89 * full, 100.0)
    assert not load.critical(100.0)
    load.note(0.91 * full, 101.0)
    assert load.critical(101.0)
    assert load.critical(100.9 + HYSTERESIS_SECONDS)
    assert not load.critical(101.0 + HYSTERESIS_SECONDS)


def test_load_falls_by_half_with_each_quiet_probe() -> None:
    load, full = Load(), settings.LIMITS.overload_lag
    load.note(2 * full, 0.0)
    load.note(0.0, 1.0)
    assert load.value == 1.0
    load.note(0.0, 2.0)
    assert load.value == 0.5


def test_the_seconds_to_wait_are_whole_and_spread() -> None:
    seconds = {int(reconnect_delay(10.0)) for _ in range(200)}
    assert min(seconds) >= 1
    assert max(seconds) <= 10
    assert len(seconds) > 3
    assert reconnect_delay(0) == "1"
