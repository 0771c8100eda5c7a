"""`/users/{id}`: a person that the caller may see (protocol 3)."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import access, bodies, serializers
from accounts.authentication import session_of
from accounts.ids import from_wire
from gateway.http import answer
from gateway.ids import UserId
from gateway.schema import described


class Person(APIView):
    @described(answers=bodies.SomePerson)
    def get(self, request: Request, user_id: str) -> HttpResponse:
        """Return a person by id."""
        return answer(serializers.person(access.get_person(session_of(request).user_id, from_wire(user_id, UserId))))
