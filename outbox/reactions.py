"""A reaction: a function of an app that must run after events of some names. `config/reactions.py` lists all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils.module_loading import import_string

from outbox.events import OutboxEvent

# A row of this age, in seconds, may be one whose gateway died between the commit and the publish.
STALE_SECONDS = 5


@dataclass(frozen=True)
class Reaction:
    """One row of `config/reactions.py`.

    `run` is the path of a function that takes a list of events and may be run twice with the same ones. With `late_only`
    it gets only events that were recorded more than STALE_SECONDS before the drain took them.
    """

    name: str
    run: str
    events: tuple[str, ...]
    late_only: bool = False

    @property
    def queue(self) -> str:
        """The Celery queue of its own."""
        return f"reaction.{self.name}"

    def function(self) -> Callable[[Sequence[OutboxEvent]], object]:
        """Import and return the function."""
        function: Callable[[Sequence[OutboxEvent]], object] = import_string(self.run)
        return function
