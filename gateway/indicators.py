"""Indicators in bytes (protocol 2.5): flags, then unsigned LEB128 numbers. Knows the layout, not what follows from it."""

from typing import NamedTuple

import msgspec

from gateway.errors import BadFrame

# The flags' bits; those above USER are the version, which is 0.
TYPING, SENT, DELIVERED, SEEN, ACTIVE, USER = 1, 2, 4, 8, 16, 32
VERSION = 0b1100_0000
RECEIPT = SENT | DELIVERED | SEEN
MOST_DIGITS = 9  # 63 bits: ids and seqs have no more
LARGEST = 2**62


class Indicator(msgspec.Struct, array_like=True, frozen=True):
    """What an event says of one member, `n` being their number in the conversation; `entry` is its JSON in a batched frame."""

    state: int
    user_id: int
    n: int
    seq: int = 0
    entry: bytes = b""


class Claim(NamedTuple):
    """What a client says: the highest state (with ACTIVE where it types), the alias of a chat, a seq for a receipt."""

    state: int
    alias: int
    seq: int


def encode(alias: int, indicator: Indicator) -> bytes:
    """Return an indicator for a connection that calls its chat by this alias."""
    seq = number(indicator.seq) if indicator.state & RECEIPT else b""
    return bytes((indicator.state | USER,)) + number(alias) + seq + number(indicator.n)


def decode(frame: bytes) -> list[Claim]:
    """Return a client's indicators, in order. Raises BadFrame: nothing of such a frame counts.

    A member's number is read over: a connection speaks for its own user alone.
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
    """Return what flags mean: the highest of the state bits wins. Raises BadFrame for none."""
    for state in (SEEN, DELIVERED, SENT):
        if flags & state:
            return state
    if flags & TYPING:
        return flags & (TYPING | ACTIVE)
    raise BadFrame(f"byte {place}: flags without a state")


def number(value: int) -> bytes:
    """Return an unsigned LEB128 number in its shortest form."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def read_number(frame: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a byte, and where it ends. Raises BadFrame: cut off, too large, not the shortest."""
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
