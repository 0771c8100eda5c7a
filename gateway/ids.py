"""Types of the ids that the gateway carries. Each is an int at run time; mypy refuses one type in place of another.

The ids of messages, teams and files are in `chat/ids.py`. `accounts.ids.from_wire` reads all of them from a client's text.
"""

from typing import NewType

UserId = NewType("UserId", int)
DeviceId = NewType("DeviceId", int)
ConversationId = NewType("ConversationId", int)
UNKNOWN_DEVICE = DeviceId(0)
