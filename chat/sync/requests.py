"""A client's sync request, over the socket or REST: chat's answer with the parts of the apps above."""

from collections.abc import Callable

from django.conf import settings
from django.utils.module_loading import import_string

from chat.frames import SyncRequest, SyncResponse
from chat.sync import sync
from gateway.frames import Viewer

Part = Callable[[Viewer, SyncResponse], SyncResponse]  # viewer and answer → the answer with the part's field


def answer_request(viewer: Viewer, request: SyncRequest) -> SyncResponse:
    """Return the answer to a sync request, with the parts of `config/sync.py`.

    Raises InvalidPayload, NotAMember and NotFound as `chat.sync.sync.requested` does.
    """
    response = sync.requested(viewer, request)
    for name in settings.SYNC_PARTS:
        part: Part = import_string(name)
        response = part(viewer, response)
    return response
