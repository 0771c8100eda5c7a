"""`/users…`: the directory of people that the caller may see (protocol 3)."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import access, bodies, queries, serializers
from accounts.authentication import session_of
from accounts.ids import from_wire
from gateway.http import answer
from gateway.ids import UserId
from gateway.paging import QUERY, limit_of
from gateway.schema import described


class People(APIView):
    @described(answers=bodies.PeoplePage, query={"q": str, **QUERY})
    def get(self, request: Request) -> HttpResponse:
        """Find other people by the beginning of a name, or by a whole e-mail address; without `q`, list all by name."""
        cursor, limit = request.query_params.get("cursor") or None, limit_of(request)
        text = request.query_params.get("q", "")
        page = queries.search_directory(session_of(request).user_id, q=text, cursor=cursor, limit=limit)
        return answer(serializers.people_page(page))


class Person(APIView):
    @described(answers=bodies.SomePerson)
    def get(self, request: Request, user_id: str) -> HttpResponse:
        """Return a person by id."""
        return answer(serializers.person(access.get_person(session_of(request).user_id, from_wire(user_id, UserId))))
