"""The table of notices: name → listeners that each web process calls for a notice (`gateway.publish.notice`).

Several apps may listen to one notice; all of them are called, in the order of the tables below.
"""

from collections.abc import Callable, Mapping

from gateway import delivery_query
from gateway.bus import Event
from presence import handlers as presence

Listener = Callable[[Event], None]


def merge(*tables: Mapping[str, Listener]) -> dict[str, tuple[Listener, ...]]:
    """Return the listeners of all tables by the name of their notice."""
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: tuple(table[name] for table in tables if name in table) for name in names}


NOTICES = merge(presence.NOTICES, delivery_query.NOTICES)
