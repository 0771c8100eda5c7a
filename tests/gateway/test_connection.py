"""A connection's rate: what its frames are charged before they are decoded, and when it waits or is closed."""

import asyncio
import dataclasses
from typing import Any

import pytest
from pytest_django import Settings

from gateway.connection import Connection
from gateway.frames import Session
from gateway.ids import DeviceId, UserId

START = 1_000.0


@pytest.fixture
def rates(settings: Settings) -> None:
    """Ten frames and 1,000 bytes a second, of which two seconds may be used at once, for 5 s at most."""
    settings.LIMITS = dataclasses.replace(
        settings.LIMITS, frames_per_second=10, frame_bytes_per_second=1_000, frame_burst=2, frame_patience=5
    )


async def opened() -> Connection:
    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    sent: list[dict[str, Any]] = []
    connection = Connection(1, Session(UserId(1), DeviceId(1), None), send, limit=10)
    connection.heard_at = START
    return connection


async def test_burst_is_free_and_what_exceeds_it_waits_for_its_own_time(rates: None) -> None:
    connection = await opened()
    waits = [connection.charge(0) for _ in range(22)]
    assert waits[:20] == pytest.approx([0.0] * 20, abs=1e-9)
    assert waits[20:] == pytest.approx([0.1, 0.2])


async def test_bytes_and_cost_are_charged_as_frames_are(rates: None) -> None:
    connection = await opened()
    assert connection.charge(1_000, cost=9) == 0.0
    assert connection.charge(100) == pytest.approx(0.1)


async def test_unused_time_is_not_saved_above_the_burst(rates: None) -> None:
    connection = await opened()
    connection.charge(0)
    connection.heard_at += 3_600
    assert [connection.charge(0) for _ in range(20)] == pytest.approx([0.0] * 20, abs=1e-9)
    assert connection.charge(0) == pytest.approx(0.1)


async def test_connection_above_its_rate_without_a_pause_is_closed(rates: None) -> None:
    connection = await opened()
    for second in range(6):
        connection.heard_at = START + second
        for _ in range(30):
            connection.charge(0)
    assert connection.code == 0
    connection.heard_at = START + 6
    connection.charge(0)
    await asyncio.wait_for(connection.closed, 5)
    assert connection.code == 4429


async def test_pause_makes_up_for_a_time_above_the_rate(rates: None) -> None:
    connection = await opened()
    for _ in range(25):
        connection.charge(0)
    connection.heard_at += 4
    connection.charge(0)
    connection.heard_at += 4
    for _ in range(25):
        connection.charge(0)
    assert connection.code == 0
