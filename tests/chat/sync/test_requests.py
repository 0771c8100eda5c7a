"""The answer to a sync request: what chat answers, and the parts of the apps above."""

from msgspec.structs import replace
from pytest_django.fixtures import Settings

from chat.frames import SyncRequest, SyncResponse
from chat.sync.requests import answer_request
from gateway.frames import Viewer
from tests.factories import direct, say, someone


def with_badge(viewer: Viewer, response: SyncResponse) -> SyncResponse:
    return replace(response, badges={**response.badges, "first": viewer.user_id})


def with_another_badge(viewer: Viewer, response: SyncResponse) -> SyncResponse:
    return replace(response, badges={**response.badges, "second": viewer.user_id})


def test_every_sync_part_adds_to_the_answer(settings: Settings) -> None:
    settings.SYNC_PARTS = [f"{__name__}.with_badge", f"{__name__}.with_another_badge"]
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(ada, chat)

    response = answer_request(bob.viewer, SyncRequest(chats={}))

    assert [part.chat_id for part in response.chats] == [str(chat)]
    assert response.badges == {str(chat): 1, "first": bob.id, "second": bob.id}
