"""Indicators as bytes (protocol 2.5): flags, then unsigned LEB128 numbers. It knows the layout, not the meaning."""

from typing import NamedTuple

import msgspec

from gateway.errors import BadFrame

# The bits of the flags. Those above USER are the version, which is 0.
TYPING, SENT, DELIVERED, SEEN, ACTIVE, USER = 1, 2, 4, 8, 16, 32
VERSION = 0b1100_0000
RECEIPT = SENT | DELIVERED | SEEN
MOST_DIGITS = 9  # 63 bits: ids and seqs have no more
LARGEST = 2**62


class Indicator(msgspec.Struct, array_like=True, frozen=True):
    """The state of one member; `n` is their number in the conversation, `entry` their JSON in a merged frame."""

    state: int
    user_id: int
    n: int
    seq: int = 0
    entry: bytes = b""


class Claim(NamedTuple):
    """An indicator from a client: its highest state (with ACTIVE while typing), a chat's alias, a receipt's seq."""

    state: int
    alias: int
    seq: int


def encode(alias: int, indicator: Indicator) -> bytes:
    """Return an indicator as bytes, for a connection that has given its chat this alias."""
    seq = number(indicator.seq) if indicator.state & RECEIPT else b""
    return bytes((indicator.state | USER,)) + number(alias) + seq + number(indicator.n)


def decode(frame: bytes) -> list[Claim]:
    """Return a client's indicators, in order. Raises BadFrame; the frame then has no effect at all.

    Member numbers are ignored: a connection speaks for its own user only.
    """
    if not frame:
        raise BadFrame("a binary frame holds at least one indicator")
    claims, at = [], 0
    while at < len(frame):
        flags, place = frame[at], at
        if flags & VERSION:
            raise BadFrame(f"byte {place}: indicators of this version are not spoken here")
        alias, at = read_number(frame, at + 1)
        seq = 0
        if flags & RECEIPT:
            seq, at = read_number(frame, at)
        if flags & USER:
            _, at = read_number(frame, at)
        claims.append(Claim(state_of(flags, place), alias, seq))
    return claims


def state_of(flags: int, place: int = 0) -> int:
    """Return the state of some flags: the highest state bit wins. Raises BadFrame if there is none."""
    for state in (SEEN, DELIVERED, SENT):
        if flags & state:
            return state
    if flags & TYPING:
        return flags & (TYPING | ACTIVE)
    raise BadFrame(f"byte {place}: flags without a state")


def number(value: int) -> bytes:
    """Return a number as unsigned LEB128, in its shortest form."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def read_number(frame: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a byte, and its end. Raises BadFrame if it is cut off, too large or too long."""
    value = shift = 0
    for place in range(at, min(at + MOST_DIGITS, len(frame))):
        digit = frame[place]
        value |= (digit & 0x7F) << shift
        if digit < 0x80:
            if value > LARGEST:
                raise BadFrame(f"byte {at}: a number above 2^62")
            if not digit and shift:
                raise BadFrame(f"byte {at}: a number longer than it need be")
            return value, place + 1
        shift += 7
    raise BadFrame(f"byte {at}: a number {'above 2^62' if len(frame) >= at + MOST_DIGITS else 'that is cut off'}")
