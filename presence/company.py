"""Whose presence an answer to a sync brings along: the other one of each chat of two that it names, a hundred at most."""

from django.conf import settings
from msgspec.structs import replace

from chat.frames import SyncRequest, SyncResponse
from chat.sync import sync
from presence import states


def synchronised(viewer: int, wanted: SyncRequest, *, device: int = 0) -> SyncResponse:
    """Answer a sync request with the presence of the people in it. Raises as `chat.sync.requested` does."""
    found = sync.requested(viewer, wanted, device=device)
    people = _people(viewer, found)
    known = states.shown([(viewer, user) for user in people])
    return replace(found, presence=[states.on_wire(user, known[viewer, user]) for user in people])


def _people(viewer: int, found: SyncResponse) -> list[int]:
    twos = [chat.members for chat in found.chats if len(chat.members) == 2]
    others = dict.fromkeys(int(m.user_id) for members in twos for m in members if int(m.user_id) != viewer)
    return list(others)[: settings.LIMITS.presence_subscriptions]
