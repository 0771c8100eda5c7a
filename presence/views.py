"""Typing and presence over REST, for clients without a socket."""

from functools import partial

from django.conf import settings
from django.http import HttpResponse
from msgspec import UNSET, UnsetType
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import session_of
from accounts.ids import from_wire
from chat import access
from chat.ids import MessageId
from chat.messages import history
from gateway import hub
from gateway.errors import InvalidPayload
from gateway.frames import Frame
from gateway.http import answer, body
from gateway.ids import ConversationId, DeviceId, UserId
from gateway.schema import described
from presence import states
from presence.frames import PresenceList
from presence.typing import typing_states


class TypingBody(Frame, frozen=True):
    """`POST …/typing`: `{active}`, true by default."""

    active: bool | UnsetType = UNSET


class ConversationTyping(APIView):
    @described(takes=TypingBody, status=204)
    def post(self, request: Request, conversation_id: str) -> HttpResponse:
        """Begin or end your typing in a conversation."""
        return _set_typing(request, from_wire(conversation_id, ConversationId))


class MessageTyping(APIView):
    @described(takes=TypingBody, status=204)
    def post(self, request: Request, message_id: str) -> HttpResponse:
        """Begin or end your typing in a message's conversation (K6)."""
        return _set_typing(
            request,
            ConversationId(int(history.find(session_of(request).user_id, from_wire(message_id, MessageId)).chat_id)),
        )


class Presence(APIView):
    @described(answers=PresenceList, query={"ids": str})
    def get(self, request: Request) -> HttpResponse:
        """Return the presence of users, `?ids=1,2,3`, as far as you may know it: a stranger is offline."""
        viewer = session_of(request).user_id
        ids = list(
            dict.fromkeys(from_wire(id_, UserId) for id_ in request.query_params.get("ids", "").split(",") if id_)
        )
        if len(ids) > settings.LIMITS.presence_subscriptions:
            raise InvalidPayload(f"at most {settings.LIMITS.presence_subscriptions} people", field="ids")
        visible = states.read_states([(viewer, id_) for id_ in ids])
        return answer(PresenceList(results=[states.state_frame(id_, visible[viewer, id_]) for id_ in ids]))


def _set_typing(request: Request, conversation_id: ConversationId) -> HttpResponse:
    session = session_of(request)
    user = session.user_id
    access.member_of(user, conversation_id)
    active = body(request, TypingBody).active is not False
    hub.current().call(partial(_publish_typing, user, conversation_id, session.device_id, active=active))
    return HttpResponse(status=204)


async def _publish_typing(
    user_id: UserId, conversation_id: ConversationId, device_id: DeviceId, *, active: bool
) -> None:
    if not active:
        typing_states().stop(user_id, conversation_id)
    elif started := typing_states().start(user_id, conversation_id, device_id):
        await started
