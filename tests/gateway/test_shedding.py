"""The load at which new connections are refused, and for how long (U5, U15)."""

from django.conf import settings

from gateway.shedding import HYSTERESIS_SECONDS, Load, reconnect_delay


def test_critical_lag_refuses_new_connections_for_ten_seconds() -> None:
    load, full = Load(), settings.LIMITS.overload_lag
    load.note(0.89 * full, 100.0)
    assert not load.critical(100.0)
    load.note(0.91 * full, 101.0)
    assert load.critical(101.0)
    assert load.critical(100.9 + HYSTERESIS_SECONDS)
    assert not load.critical(101.0 + HYSTERESIS_SECONDS)


def test_load_halves_with_each_measurement_without_lag() -> None:
    load, full = Load(), settings.LIMITS.overload_lag
    load.note(2 * full, 0.0)
    load.note(0.0, 1.0)
    assert load.value == 1.0
    load.note(0.0, 2.0)
    assert load.value == 0.5


def test_reconnect_delay_is_random_whole_seconds() -> None:
    seconds = {int(reconnect_delay(10.0)) for _ in range(200)}
    assert min(seconds) >= 1
    assert max(seconds) <= 10
    assert len(seconds) > 3
    assert reconnect_delay(0) == "1"
