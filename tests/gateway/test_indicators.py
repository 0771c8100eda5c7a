"""Indicators as bytes: the vectors of the protocol page in both directions, and arbitrary input."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.frames import INDICATORS
from gateway import indicators
from gateway.errors import BadFrame
from gateway.indicators import ACTIVE, DELIVERED, LARGEST, RECEIPT, SEEN, SENT, TYPING, USER, Claim, Indicator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
STATES = {"typing": TYPING | ACTIVE, "typing ended": TYPING, "delivered": DELIVERED, "seen": SEEN}
VECTOR = re.compile(r"^\| `([0-9a-f ]+)` \| (client|server) \| ([a-z ]+) \| (\d+) \| (\d*) \| (\d*) \|$", re.M)
REFUSED = re.compile(r"^\| `([0-9a-f ]*)` \| refused \| (.+) \|$", re.M)
NUMBERS = st.one_of(st.integers(0, 300), st.integers(0, LARGEST))


def vectors(whose: str) -> list[tuple[str, int, int, int, int]]:
    """Return the rows of the page: bytes, state, alias, seq, number."""
    rows = VECTOR.findall(PAGE.read_text())
    return [(b, STATES[s], int(alias), int(seq or 0), int(n or 0)) for b, who, s, alias, seq, n in rows if who == whose]


def test_protocol_page_has_vectors_for_every_state_in_both_directions() -> None:
    assert {row[1] for row in vectors("client")} == {row[1] for row in vectors("server")} == set(STATES.values())
    assert len(REFUSED.findall(PAGE.read_text())) >= 8


@pytest.mark.parametrize("row", vectors("client"), ids=lambda row: str(row[0]))
def test_client_vectors_of_protocol_page_are_decoded(row: tuple[str, int, int, int, int]) -> None:
    content, state, alias, seq, _ = row
    assert indicators.decode(bytes.fromhex(content)) == [Claim(state, alias, seq)]


@pytest.mark.parametrize("row", vectors("server"), ids=lambda row: str(row[0]))
def test_server_vectors_of_protocol_page_are_encoded(row: tuple[str, int, int, int, int]) -> None:
    content, state, alias, seq, n = row
    assert indicators.encode(alias, Indicator(state, 1, n, seq)) == bytes.fromhex(content)


@pytest.mark.parametrize("content, why", REFUSED.findall(PAGE.read_text()))
def test_invalid_vectors_of_protocol_page_are_refused(content: str, why: str) -> None:
    """Unknown aliases are refused by the connection, and `sent` by the table of client indicators."""
    try:
        claims = indicators.decode(bytes.fromhex(content))
    except BadFrame:
        return
    assert any(claim.alias == 0 or claim.state not in INDICATORS for claim in claims), why


@given(st.lists(st.tuples(st.sampled_from([*STATES.values(), SENT]), NUMBERS, NUMBERS, NUMBERS), min_size=1))
def test_encoded_indicator_is_decoded_to_the_same_state(told: list[tuple[int, int, int, int]]) -> None:
    content = b"".join(indicators.encode(alias, Indicator(state, 1, n, seq)) for state, alias, seq, n in told)
    expected = [Claim(state, alias, seq if state & RECEIPT else 0) for state, alias, seq, _ in told]
    assert indicators.decode(content) == expected


@given(NUMBERS)
def test_number_is_accepted_in_its_shortest_form_only(value: int) -> None:
    content = indicators.number(value)
    assert indicators.read_number(content, 0) == (value, len(content))
    longer = content[:-1] + bytes((content[-1] | 0x80, 0))
    with pytest.raises(BadFrame):
        indicators.read_number(longer, 0)
    with pytest.raises(BadFrame):
        indicators.read_number(content[:-1], 0)


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_decoded_or_refused(content: bytes) -> None:
    try:
        claims = indicators.decode(content)
    except BadFrame:
        return
    assert claims
    assert all(0 <= claim.alias <= LARGEST and 0 <= claim.seq <= LARGEST for claim in claims)


@given(st.integers(0, 63))
def test_highest_state_bit_wins(flags: int) -> None:
    states = [state for state in (TYPING, SENT, DELIVERED, SEEN) if flags & state]
    if not states:
        with pytest.raises(BadFrame):
            indicators.state_of(flags)
        return
    highest = max(states)
    assert indicators.state_of(flags) == (flags & (TYPING | ACTIVE) if highest == TYPING else highest)
    assert indicators.state_of(flags | USER) == indicators.state_of(flags)
