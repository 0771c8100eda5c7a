"""The parts that apps add to the answer of a sync: functions by name, in the order of their calls.

Each takes the viewer (`gateway.frames.Viewer`) and the answer so far, and returns the answer with its own field.
`chat/sync/requests.py` calls them for `sync.request` and `POST /sync`.
"""

PARTS: tuple[str, ...] = ("presence.sync.with_presence",)
