"""A model of dialogues: when members start typing, continue, send or give up, and how many of them look at the chat.

It is a model because a log of messages does not record typing or reading. Its numbers are those of people: 52 words a
minute at a keyboard (Dhakal et al., 2018), a pause of some seconds before an answer, a second message in two of five
cases, one text in twenty given up, two of three readers looking. The same random source gives the same dialogue.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

KEYS_PER_SECOND = 52 * 5 / 60
TYPING_EVERY = 3.0  # F130
ANSWER_PAUSE, SECOND_PAUSE = 5.0, 1.5
CONTINUING_SHARE, ABANDONED_SHARE, LOOKING_SHARE = 0.4, 0.05, 0.67
READ_PER_SECOND = 25.0  # characters
READ_AT_LEAST = 0.6


class Act(NamedTuple):
    """An action of a member (by place in the chat) at a time in seconds: "type", "stop", or "say" with a text."""

    at: float
    member: int
    action: str
    text: str = ""


def make_dialogue(source: random.Random, members: int, seconds: float, texts: Sequence[str]) -> list[Act]:
    """Return the acts in a chat of `members`, in order; a text unfinished after `seconds` is left out."""
    acts: list[Act] = []
    at, member = source.uniform(0, ANSWER_PAUSE), source.randrange(members)
    while True:
        text = source.choice(texts)
        ends = at + len(text) / KEYS_PER_SECOND
        if ends >= seconds:
            return acts
        abandoned = source.random() < ABANDONED_SHARE
        acts += [Act(moment, member, "type") for moment in typing_times(at, ends)]
        acts.append(Act(ends, member, "stop") if abandoned else Act(ends, member, "say", text))
        continues = source.random() < CONTINUING_SHARE
        member = member if continues else source.choice([place for place in range(members) if place != member])
        at = ends + source.expovariate(1 / (SECOND_PAUSE if continues else ANSWER_PAUSE))


def typing_times(begins: float, ends: float) -> list[float]:
    """Return the times of typing indicators: at the first key, then every three seconds."""
    count = int((ends - begins) / TYPING_EVERY) + 1
    return [begins + number * TYPING_EVERY for number in range(count)]


def reading_seconds(text: str) -> float:
    """Return the seconds that a reader needs for a message."""
    return max(READ_AT_LEAST, len(text) / READ_PER_SECOND)
