"""The model of dialogues is repeatable and keeps the protocol's rules; the meter counts bytes of frames."""

import random
from itertools import pairwise

import pytest

from bench.dialogue import TYPING_EVERY, Act, make_dialogue, typing_times
from bench.indicators import Meter, decode_number, encode_number
from gateway import indicators

TEXTS = ["yes", "a text of some thirty characters", "x" * 140]


@pytest.fixture(params=[2, 5])
def acts(request: pytest.FixtureRequest) -> list[Act]:
    return make_dialogue(random.Random(3), request.param, 600, TEXTS)


def test_dialogue_is_ordered_and_repeatable() -> None:
    one, other = (make_dialogue(random.Random(3), 4, 600, TEXTS) for _ in range(2))
    assert one == other
    assert all(earlier.at <= later.at for earlier, later in pairwise(one))
    assert one[-1].at < 600


def test_typing_ends_with_a_message_or_a_stop(acts: list[Act]) -> None:
    typing = 0
    for act in acts:
        if act.action == "type":
            typing += 1
            continue
        assert typing >= 1
        typing = 0
    assert {act.action for act in acts} == {"type", "stop", "say"}
    assert all(bool(act.text) == (act.action == "say") for act in acts)


def test_every_member_writes(acts: list[Act]) -> None:
    assert len({act.member for act in acts}) in (2, 5)


def test_typing_is_sent_at_the_first_key_and_every_three_seconds() -> None:
    assert typing_times(10, 17) == [10, 10 + TYPING_EVERY, 10 + 2 * TYPING_EVERY]
    assert typing_times(10, 11) == [10]


def test_meter_counts_bytes_with_and_without_websocket_headers() -> None:
    meter = Meter()
    meter.count("indicator", 3, 4)
    meter.count("message", 200, 0)
    assert (meter.content["indicator"], meter.wire["indicator"], meter.wire["message"]) == (3, 9, 204)
    assert meter.percent(meter.content) == 1.5


def test_meter_without_messages_has_no_percentage() -> None:
    meter = Meter()
    meter.count("indicator", 3, 4)
    assert meter.percent(meter.content) is None


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**62])
def test_client_and_server_encode_numbers_alike(value: int) -> None:
    assert encode_number(value) == indicators.number(value)
    assert decode_number(encode_number(value), 0)[0] == value
