"""Token buckets: the script in Redis, and the stand-in with the same arithmetic."""

import asyncio
import secrets

import pytest

from gateway import limits
from gateway.errors import RateLimited
from gateway.limits import Charge, LocalBuckets, Window, charge, charge_in_thread, enforce
from gateway.redis_clients import thread_client


def key() -> str:
    return f"ratelimit:test:{secrets.token_hex(8)}"


def test_a_bucket_gives_its_burst_and_then_says_how_long_to_wait() -> None:
    ask = Charge(key(), (Window(0.5, 3),))
    assert [charge_in_thread([ask])[0] for _ in range(3)] == [0.0, 0.0, 0.0]
    assert charge_in_thread([ask])[0] == pytest.approx(2.0, abs=0.2)


def test_all_windows_must_have_room_and_a_refusal_charges_none() -> None:
    name = key()
    both = Charge(name, (Window(1000, 1000), Window(0.1, 2)))
    assert [charge_in_thread([both])[0] for _ in range(2)] == [0.0, 0.0]
    assert charge_in_thread([both])[0] == pytest.approx(10.0, abs=0.5)
    assert charge_in_thread([both])[0] == pytest.approx(10.0, abs=0.5)


def test_a_cost_above_one_is_all_or_nothing() -> None:
    ask = Charge(key(), (Window(1, 5),), cost=3)
    assert charge_in_thread([ask])[0] == 0.0
    assert charge_in_thread([ask])[0] == pytest.approx(1.0, abs=0.2)
    assert charge_in_thread([ask._replace(cost=2)])[0] == 0.0


def test_a_batch_is_charged_in_its_order_and_keys_do_not_meet() -> None:
    one, other = key(), key()
    asks = [Charge(one, (Window(0.1, 1),)), Charge(one, (Window(0.1, 1),)), Charge(other, (Window(0.1, 1),))]
    waits = charge_in_thread(asks)
    assert (waits[0], waits[2]) == (0.0, 0.0)
    assert waits[1] > 9


def test_a_full_bucket_leaves_nothing_in_redis_for_long() -> None:
    ask = Charge(key(), (Window(10, 20),))
    charge_in_thread([ask])
    assert 0 < thread_client().pttl(ask.key) <= 2000


def test_a_clock_that_was_put_back_takes_nobodys_tokens() -> None:
    ask = Charge(key(), (Window(1, 5),))
    charge_in_thread([ask])
    at, tokens = thread_client().get(ask.key).decode().split(":")  # type: ignore[union-attr]
    thread_client().set(ask.key, f"{float(at) + 3600:.6f}:{tokens}")
    assert [charge_in_thread([ask])[0] for _ in range(4)] == [0.0] * 4
    assert charge_in_thread([ask])[0] == pytest.approx(1.0, abs=0.2)


async def test_the_script_is_sent_again_to_a_redis_that_forgot_it() -> None:
    ask = Charge(key(), (Window(0.1, 2),))
    assert await charge([ask]) == [0.0]
    await asyncio.to_thread(thread_client().script_flush)
    assert await charge([ask]) == [0.0]
    assert (await charge([ask]))[0] > 5


def test_check_now_raises_with_the_seconds_to_wait() -> None:
    name = secrets.token_hex(8)
    enforce(name, 0.5, 1)
    with pytest.raises(RateLimited) as refused:
        enforce(name, 0.5, 1)
    assert refused.value.retry_after == pytest.approx(2.0, abs=0.2)


def test_the_stand_in_counts_as_redis_does_and_is_divided_among_the_processes() -> None:
    buckets, ask = LocalBuckets(2), Charge("a", (Window(2, 10),))
    assert [buckets.charge(ask, 0.0) for _ in range(5)] == [0.0] * 5
    assert buckets.charge(ask, 0.0) == pytest.approx(1.0)
    assert buckets.charge(ask, 1.0) == 0.0
    assert buckets.charge(ask, 1.0) > 0.0


def test_a_strict_limit_has_no_stand_in() -> None:
    assert LocalBuckets(1).charge(Charge("a", (Window(100, 100),), strict=True), 0.0) > 0


async def test_without_redis_the_stand_in_is_used_and_redis_left_alone_for_a_moment(
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
