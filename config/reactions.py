"""Event → tasks: what follows when something has been stored. Every task may run twice."""

REACTIONS: dict[str, tuple[str, ...]] = {
    "messages.stored": (),
}
