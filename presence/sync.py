"""The part of presence in the answer of a sync: the other member of each chat of two, a hundred at most."""

from django.conf import settings
from msgspec.structs import replace

from chat.frames import SyncResponse
from gateway.frames import Viewer
from gateway.ids import UserId
from presence import states


def with_presence(viewer: Viewer, response: SyncResponse) -> SyncResponse:
    """Return the answer with the presence of the other members of its chats of two, as the viewer may know it."""
    users = _partners(viewer.user_id, response)
    known = states.read_states([(viewer.user_id, user) for user in users])
    return replace(response, presence=[states.state_frame(user, known[viewer.user_id, user]) for user in users])


def _partners(viewer: UserId, response: SyncResponse) -> list[int]:
    pairs = [chat.members for chat in response.chats if len(chat.members) == 2]
    partners = dict.fromkeys(int(m.user_id) for members in pairs for m in members if int(m.user_id) != viewer)
    return list(partners)[: settings.LIMITS.presence_subscriptions]
