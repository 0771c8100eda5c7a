"""Receipts and traces of messages over REST."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import session_of
from accounts.ids import from_wire
from chat.ids import MessageId
from gateway.http import answer, body
from gateway.ids import ConversationId
from gateway.paging import cursor_of
from gateway.schema import described
from receipts import policies, queries, traces
from receipts.bodies import DeliveryState, ReceiptNames, Receipts, Trace


class MessageReceipts(APIView):
    @described(answers=Receipts, query={"cursor": str})
    def get(self, request: Request, message_id: str) -> HttpResponse:
        """Return who received and saw a message, on which device, as far as you may know: counts first."""
        after = cursor_of(request, int) or 0
        return answer(queries.list_receipts(session_of(request), from_wire(message_id, MessageId), after=after))


class MessageDeliveryState(APIView):
    @described(answers=DeliveryState)
    def get(self, request: Request, message_id: str) -> HttpResponse:
        """Return the state that all recipients of a message have reached, as far as you may know."""
        return answer(queries.read_delivery_state(session_of(request), from_wire(message_id, MessageId)))


class MessageTrace(APIView):
    @described(answers=Trace, query={"reason": str, "cursor": str})
    def get(self, request: Request, message_id: str) -> HttpResponse:
        """Return the trace of your message, as far as you may know it; with a `reason`, staff see all of it, on record."""
        viewer, message = session_of(request), from_wire(message_id, MessageId)
        after, reason = cursor_of(request, int) or 0, request.query_params.get("reason")
        if reason is None:
            return answer(traces.trace_for_sender(viewer, message, after=after))
        return answer(traces.trace_for_staff(viewer, message, reason=reason, after=after))


class ConversationReceipts(APIView):
    @described(answers=ReceiptNames)
    def get(self, request: Request, conversation_id: str) -> HttpResponse:
        """Return whether receipts list names in this conversation; `null`: its size decides."""
        user = session_of(request).user_id
        return answer(ReceiptNames(names=policies.read_list_names(user, from_wire(conversation_id, ConversationId))))

    @described(takes=ReceiptNames, answers=ReceiptNames)
    def patch(self, request: Request, conversation_id: str) -> HttpResponse:
        """Set whether receipts list names; `null`: the size decides. For admins."""
        wanted = body(request, ReceiptNames)
        policies.set_list_names(session_of(request).user_id, from_wire(conversation_id, ConversationId), wanted.names)
        return answer(wanted)
