"""Token buckets: the script in Redis, and the local buckets with the same arithmetic."""

import asyncio
import secrets

import pytest

from gateway import limits
from gateway.errors import RateLimited
from gateway.limits import Charge, LocalBuckets, Window, charge, charge_in_thread, enforce
from gateway.redis_clients import thread_client


def key() -> str:
    return f"ratelimit:test:{secrets.token_hex(8)}"


def test_bucket_allows_its_burst_and_then_returns_the_wait() -> None:
    ask = Charge(key(), (Window(0.5, 3),))
    assert [charge_in_thread([ask])[0] for _ in range(3)] == [0.0, 0.0, 0.0]
    assert charge_in_thread([ask])[0] == pytest.approx(2.0, abs=0.2)


def test_refusal_by_one_window_charges_no_window() -> None:
    name = key()
    both = Charge(name, (Window(1000, 1000), Window(0.1, 2)))
    assert [charge_in_thread([both])[0] for _ in range(2)] == [0.0, 0.0]
    assert charge_in_thread([both])[0] == pytest.approx(10.0, abs=0.5)
    assert charge_in_thread([both])[0] == pytest.approx(10.0, abs=0.5)


def test_cost_above_one_is_charged_wholly_or_not() -> None:
    ask = Charge(key(), (Window(1, 5),), cost=3)
    assert charge_in_thread([ask])[0] == 0.0
    assert charge_in_thread([ask])[0] == pytest.approx(1.0, abs=0.2)
    assert charge_in_thread([ask._replace(cost=2)])[0] == 0.0


def test_batch_is_charged_in_order_and_keys_are_independent() -> None:
    one, other = key(), key()
    asks = [Charge(one, (Window(0.1, 1),)), Charge(one, (Window(0.1, 1),)), Charge(other, (Window(0.1, 1),))]
    waits = charge_in_thread(asks)
    assert (waits[0], waits[2]) == (0.0, 0.0)
    assert waits[1] > 9


def test_full_bucket_expires_in_redis() -> None:
    ask = Charge(key(), (Window(10, 20),))
    charge_in_thread([ask])
    assert 0 < thread_client().pttl(ask.key) <= 2000


def test_clock_set_back_takes_no_tokens() -> None:
    ask = Charge(key(), (Window(1, 5),))
    charge_in_thread([ask])
    at, tokens = thread_client().get(ask.key).decode().split(":")  # type: ignore[union-attr]
    thread_client().set(ask.key, f"{float(at) + 3600:.6f}:{tokens}")
    assert [charge_in_thread([ask])[0] for _ in range(4)] == [0.0] * 4
    assert charge_in_thread([ask])[0] == pytest.approx(1.0, abs=0.2)


async def test_script_is_sent_again_after_redis_lost_it() -> None:
    ask = Charge(key(), (Window(0.1, 2),))
    assert await charge([ask]) == [0.0]
    await asyncio.to_thread(thread_client().script_flush)
    assert await charge([ask]) == [0.0]
    assert (await charge([ask]))[0] > 5


def test_enforce_raises_with_the_seconds_to_wait() -> None:
    name = secrets.token_hex(8)
    enforce(name, 0.5, 1)
    with pytest.raises(RateLimited) as refused:
        enforce(name, 0.5, 1)
    assert refused.value.retry_after == pytest.approx(2.0, abs=0.2)


def test_local_buckets_count_like_redis_divided_by_processes() -> None:
    buckets, ask = LocalBuckets(2), Charge("a", (Window(2, 10),))
    assert [buckets.charge(ask, 0.0) for _ in range(5)] == [0.0] * 5
    assert buckets.charge(ask, 0.0) == pytest.approx(1.0)
    assert buckets.charge(ask, 1.0) == 0.0
    assert buckets.charge(ask, 1.0) > 0.0


def test_strict_limit_refuses_in_local_buckets() -> None:
    assert LocalBuckets(1).charge(Charge("a", (Window(100, 100),), strict=True), 0.0) > 0


async def test_local_buckets_serve_for_a_while_without_asking_redis(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Away:
        calls = 0

        async def evalsha(self, *arguments: object) -> None:
            self.calls += 1
            raise ConnectionError

    away = Away()
    monkeypatch.setattr(limits, "loop_client", lambda: away)
    monkeypatch.setattr(limits, "_local_until", 0.0)
    monkeypatch.setattr(limits, "_local", LocalBuckets(1))
    ask = Charge(key(), (Window(0.1, 2),))
    assert [(await charge([ask]))[0] for _ in range(2)] == [0.0, 0.0]
    assert (await charge([ask]))[0] > 0
    assert away.calls == 1
