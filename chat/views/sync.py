"""Sync over REST, for clients without a socket."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import session_of
from chat.frames import SyncRequest, SyncResponse
from chat.sync.requests import answer_request
from gateway.http import answer, body
from gateway.schema import described


class Sync(APIView):
    @described(takes=SyncRequest, answers=SyncResponse)
    def post(self, request: Request) -> HttpResponse:
        """Return the changes in all of your chats since your watermarks; body and answer as the frame's."""
        return answer(answer_request(session_of(request).viewer, body(request, SyncRequest)))
