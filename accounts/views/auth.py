"""`/auth/…`: account, tokens, tickets and signed-in devices (protocol 3)."""

from django.contrib.auth import logout
from django.http import HttpResponse
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import api_sign_in, bodies, devices, known_clients, queries, serializers, tickets, tokens
from accounts.api_sign_in import SignInResult
from accounts.authentication import client_of, session_of
from accounts.ids import from_wire
from gateway.http import answer, body
from gateway.ids import DeviceId
from gateway.paging import QUERY, limit_of
from gateway.schema import described


class Open(APIView):
    """A route that needs no session."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class Register(Open):
    @described(takes=bodies.Registration, answers=bodies.Entered, status=201, pending=bodies.MailSent)
    def post(self, request: Request) -> HttpResponse:
        """Create an account and sign this device in; 202 if the link in a mail must be followed first."""
        request_body = body(request, bodies.Registration)
        result = api_sign_in.register(
            email=request_body.email,
            password=request_body.password,
            display_name=request_body.display_name,
            device_name=request_body.device_name,
            invitation=request_body.invitation,
            client=client_of(request),
        )
        return _entered(request, result, 201) if result else answer(bodies.MailSent(), status=202)


class Token(Open):
    @described(takes=bodies.Credentials, answers=bodies.Entered)
    def post(self, request: Request) -> HttpResponse:
        """Sign a device in with e-mail address and password."""
        request_body = body(request, bodies.Credentials)
        result = api_sign_in.sign_in_device(
            email=request_body.email,
            password=request_body.password,
            device_id=from_wire(request_body.device_id, DeviceId) if request_body.device_id else None,
            device_name=request_body.device_name,
            client=client_of(request),
        )
        return _entered(request, result, 200)


def _entered(request: Request, result: SignInResult, status: int) -> HttpResponse:
    """Return the tokens, with the cookie by which the client is known at its next sign-in."""
    entered = answer(serializers.entered(result), status=status)
    known_clients.remember_browser(entered, result.user, client_of(request))
    return entered


class TokenRefresh(Open):
    @described(takes=bodies.Refresh, answers=bodies.TokenPair)
    def post(self, request: Request) -> HttpResponse:
        """Exchange a refresh token for a new pair. It works once; its reuse signs the device out."""
        return answer(serializers.token_pair(tokens.rotate(body(request, bodies.Refresh).refresh)))


class Logout(APIView):
    @described(status=204)
    def post(self, request: Request) -> HttpResponse:
        """Sign this device out: its tokens become void and its sockets close."""
        session = session_of(request)
        devices.revoke(session.user_id, session.device_id)
        if session.expires_at is None:
            logout(request._request)
        return HttpResponse(status=204)


class WsTicket(APIView):
    @described(answers=bodies.SocketTicket)
    def post(self, request: Request) -> HttpResponse:
        """Get a ticket that opens one socket within `wsTicket` seconds."""
        return answer(serializers.ticket(tickets.issue(session_of(request))))


class Devices(APIView):
    @described(answers=bodies.DevicesPage, query=QUERY)
    def get(self, request: Request) -> HttpResponse:
        """List the caller's signed-in devices, the newest first."""
        session, cursor, limit = session_of(request), request.query_params.get("cursor") or None, limit_of(request)
        page = queries.list_devices(session.user_id, current=session.device_id, cursor=cursor, limit=limit)
        return answer(serializers.devices_page(page))


class Device(APIView):
    @described(status=204)
    def delete(self, request: Request, device_id: str) -> HttpResponse:
        """Sign a device out."""
        devices.revoke(session_of(request).user_id, from_wire(device_id, DeviceId))
        return HttpResponse(status=204)
