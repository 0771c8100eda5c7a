"""The states of a message, in the order in which they only rise (F100): the bits of the protocol, 2.5."""

from enum import IntEnum


class State(IntEnum):
    """Typing and sent are never logged: the one is not stored, the other is the message itself."""

    TYPING = 0
    SENT = 1
    DELIVERED = 2
    SEEN = 3

    @property
    def wire(self) -> str:
        """Its name on the wire."""
        return self.name.lower()
