"""`/me…`: the caller's own profile, privacy, blocks and contacts (protocol 3)."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import blocks, bodies, contacts, privacy, queries, serializers, users
from accounts.authentication import session_of
from accounts.ids import from_wire
from gateway.http import answer, body, fields_set
from gateway.ids import DeviceId, UserId
from gateway.paging import QUERY, limit_of
from gateway.schema import described


class Me(APIView):
    @described(answers=bodies.Profile)
    def get(self, request: Request) -> HttpResponse:
        """Return the caller's profile."""
        return answer(serializers.profile(users.get(session_of(request).user_id)))

    @described(takes=bodies.ProfileChange, answers=bodies.Profile)
    def patch(self, request: Request) -> HttpResponse:
        """Change the caller's name or avatar."""
        changes = fields_set(body(request, bodies.ProfileChange))
        return answer(serializers.profile(users.change_profile(session_of(request).user_id, **changes)))


class Privacy(APIView):
    @described(answers=bodies.PrivacySettings)
    def get(self, request: Request) -> HttpResponse:
        """Return the privacy settings and the overrides of devices."""
        return _privacy_of(session_of(request).user_id)

    @described(takes=bodies.PrivacySettings, answers=bodies.PrivacySettings)
    def patch(self, request: Request) -> HttpResponse:
        """Change the given privacy settings."""
        changes = fields_set(body(request, bodies.PrivacySettings))
        by_device = changes.pop("device_overrides", {})
        overrides = {from_wire(device_id, DeviceId): fields_set(values) for device_id, values in by_device.items()}
        privacy.change(session_of(request).user_id, settings=changes, overrides=overrides)
        return _privacy_of(session_of(request).user_id)


def _privacy_of(user_id: UserId) -> HttpResponse:
    return answer(serializers.privacy(privacy.get_settings(user_id), privacy.get_overrides(user_id)))


class Blocks(APIView):
    @described(answers=bodies.BlocksPage, query=QUERY)
    def get(self, request: Request) -> HttpResponse:
        """List the people that the caller blocks, the newest first."""
        cursor, limit = request.query_params.get("cursor") or None, limit_of(request)
        return answer(
            serializers.blocks_page(queries.list_blocks(session_of(request).user_id, cursor=cursor, limit=limit))
        )


class Block(APIView):
    @described(status=204)
    def put(self, request: Request, user_id: str) -> HttpResponse:
        """Block a person. They are not notified."""
        blocks.block(session_of(request).user_id, from_wire(user_id, UserId))
        return HttpResponse(status=204)

    @described(status=204)
    def delete(self, request: Request, user_id: str) -> HttpResponse:
        """End a block."""
        blocks.unblock(session_of(request).user_id, from_wire(user_id, UserId))
        return HttpResponse(status=204)


class Contacts(APIView):
    @described(answers=bodies.ContactsPage, query=QUERY)
    def get(self, request: Request) -> HttpResponse:
        """List the caller's contacts, the newest first."""
        cursor, limit = request.query_params.get("cursor") or None, limit_of(request)
        page = queries.list_contacts(session_of(request).user_id, cursor=cursor, limit=limit)
        return answer(serializers.contacts_page(page))


class Contact(APIView):
    @described(status=204)
    def put(self, request: Request, user_id: str) -> HttpResponse:
        """Add a person to the caller's contacts."""
        contacts.add(session_of(request).user_id, from_wire(user_id, UserId))
        return HttpResponse(status=204)

    @described(status=204)
    def delete(self, request: Request, user_id: str) -> HttpResponse:
        """Remove a person from the caller's contacts."""
        contacts.remove(session_of(request).user_id, from_wire(user_id, UserId))
        return HttpResponse(status=204)
