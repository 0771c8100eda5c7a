"""The states of a message in their order; a state only rises (F100). The numbers are the bits of protocol 2.5."""

from enum import IntEnum


class State(IntEnum):
    """The log holds delivered and seen alone: typing is not stored, and sent is the message itself."""

    TYPING = 0
    SENT = 1
    DELIVERED = 2
    SEEN = 3

    @property
    def wire(self) -> str:
        """The name on the wire."""
        return self.name.lower()
