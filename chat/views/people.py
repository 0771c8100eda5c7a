"""`/users`: the directory (protocol 3)."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import session_of
from chat.bodies.people import PeoplePage
from chat.teams import directory
from gateway.http import answer
from gateway.paging import QUERY, limit_of, listing
from gateway.schema import described


class People(APIView):
    @described(answers=PeoplePage, query={"q": str, **QUERY})
    def get(self, request: Request) -> HttpResponse:
        """Find people by the beginning of their name or by their e-mail address; without `q`, list those you know."""
        text, cursor = request.query_params.get("q", ""), request.query_params.get("cursor") or None
        page = directory.search(session_of(request).user_id, q=text, cursor=cursor, limit=limit_of(request))
        return answer(listing(PeoplePage, page.results, page.next_cursor))
