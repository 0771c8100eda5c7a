"""Reactions of tests: they note the events that they are given, and fail as they are told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from outbox.events import MessagesStored, OutboxEvent
from outbox.reactions import Reaction

Run = Callable[[Sequence[OutboxEvent]], object]


@dataclass(frozen=True)
class Calling(Reaction):
    """A reaction that calls a function of a test."""

    call: Run = list

    def function(self) -> Run:
        return self.call


def calling(
    name: str, call: Run, *, events: tuple[str, ...] = ("messages.stored",), late_only: bool = False
) -> Calling:
    return Calling(name, "", events, late_only, call)


@dataclass
class Recorder:
    """Notes each run's events; raises while `broken`."""

    broken: bool = False
    runs: list[list[OutboxEvent]] = field(default_factory=list)

    def __call__(self, events: Sequence[OutboxEvent]) -> None:
        self.runs.append(list(events))
        if self.broken:
            raise RuntimeError("what somebody wrote")

    @property
    def seqs(self) -> list[int]:
        """The first seq of each event of messages.stored, over all runs."""
        return [event.from_seq for run in self.runs for event in run if isinstance(event, MessagesStored)]
