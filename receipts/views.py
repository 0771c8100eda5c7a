"""Marks over REST: one call a route."""

from typing import Annotated

from django.http import HttpResponse
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import session_of
from accounts.ids import from_wire
from chat.frames import WireId
from chat.ids import MessageId
from chat.messages import history
from gateway.errors import InvalidPayload
from gateway.frames import Frame
from gateway.http import body
from gateway.ids import ConversationId
from gateway.schema import described
from receipts.mark_writer import submit_mark
from receipts.marks import Mark


class ReadTo(Frame, frozen=True):
    """`POST /conversations/{id}/read`: read up to a seq or a message."""

    seq: Annotated[int, Meta(ge=0, le=2**62)] | None = None
    message_id: WireId | None = None


class ConversationRead(APIView):
    @described(takes=ReadTo, status=204)
    def post(self, request: Request, conversation_id: str) -> HttpResponse:
        """Mark a conversation as read up to a seq or message."""
        user, device, _ = session_of(request)
        chat = from_wire(conversation_id, ConversationId)
        wanted = body(request, ReadTo)
        if wanted.seq is None and wanted.message_id is None:
            raise InvalidPayload("up to which seq or message?", field="seq")
        named = wanted.message_id
        seq = history.seq_of(user, chat, from_wire(named, MessageId)) if named else wanted.seq or 0
        submit_mark(Mark(user, chat, 0, seq, device))
        return HttpResponse(status=204)


class MessageSeen(APIView):
    @described(status=204)
    def post(self, request: Request, message_id: str) -> HttpResponse:
        """Mark everything up to this message as seen."""
        user, device, _ = session_of(request)
        message = history.find(user, from_wire(message_id, MessageId))
        submit_mark(Mark(user, ConversationId(int(message.chat_id)), 0, message.seq, device))
        return HttpResponse(status=204)


class MessageDelivered(APIView):
    @described(status=204)
    def post(self, request: Request, message_id: str) -> HttpResponse:
        """Mark everything up to this message as delivered to this device."""
        user, device, _ = session_of(request)
        message = history.find(user, from_wire(message_id, MessageId))
        submit_mark(Mark(user, ConversationId(int(message.chat_id)), message.seq, 0, device))
        return HttpResponse(status=204)
