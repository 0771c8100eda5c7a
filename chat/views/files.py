"""The REST routes of files: uploads in, signed links out (protocol, REST: Files)."""

import re
from typing import Any, cast

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import session_of
from accounts.ids import from_wire
from chat.bodies.files import AttachmentObject, NewAttachment
from chat.files import downloads, uploads
from chat.files.uploads import OutOfPlace, Piece
from chat.ids import AttachmentId
from gateway.errors import InvalidPayload
from gateway.http import JsonParser, answer, body, document
from gateway.schema import described

RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class AnyBytes(BaseParser):
    """Does not read the body: views read it in pieces."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream


class Attachments(APIView):
    parser_classes = [JsonParser, MultiPartParser]

    @described(takes=NewAttachment, answers=AttachmentObject, status=201)
    def post(self, request: Request) -> HttpResponse:
        """Upload a file: whole as multipart field `file` (to 10 MB), or JSON to begin one in chunks."""
        user = session_of(request).user_id
        if (request.content_type or "").startswith("multipart/"):
            file = request.FILES.get("file")
            if not isinstance(file, UploadedFile):
                raise InvalidPayload("a file", field="file")
            name, type_, source = file.name or "", file.content_type or "", cast(Any, file)
            made = uploads.store(user, name, type_, source, file.size or 0)
        else:
            wanted = body(request, NewAttachment)
            replaces = from_wire(wanted.replaces, AttachmentId) if wanted.replaces is not None else None
            made = uploads.begin(
                user, name=wanted.name, size=wanted.size, mime_type=wanted.mime_type, replaces=replaces
            )
        return answer(uploads.wire(made), status=201)


class OneAttachment(APIView):
    @described(answers=AttachmentObject)
    def get(self, request: Request, attachment_id: str) -> HttpResponse:
        """Return a file of yours, or of a message that you may see, with fresh links and how far its upload is."""
        return answer(uploads.wire(uploads.look(session_of(request).user_id, from_wire(attachment_id, AttachmentId))))

    @described(status=204)
    def delete(self, request: Request, attachment_id: str) -> HttpResponse:
        """Cancel an upload, or forget a file that was never sent."""
        uploads.cancel(session_of(request).user_id, from_wire(attachment_id, AttachmentId))
        return HttpResponse(status=204)


class Content(APIView):
    parser_classes = [AnyBytes]

    def get_authenticators(self) -> list[Any]:
        """The signature of the link grants access."""
        return [] if self._fetching() else super().get_authenticators()

    def get_permissions(self) -> Any:
        return [AllowAny()] if self._fetching() else super().get_permissions()

    def _fetching(self) -> bool:
        return getattr(self.request, "method", None) in ("GET", "HEAD")

    @described(query={"kind": str, "until": str, "signature": str})
    def get(self, request: Request, attachment_id: str) -> HttpResponseBase:
        """Return the bytes of a file or its thumbnail, by the link that the message object has."""
        named = request.query_params
        wanted = [named.get(name, "") for name in ("kind", "until", "signature")]
        return downloads.response(from_wire(attachment_id, AttachmentId), *wanted, headers=request.headers)

    @described(answers=AttachmentObject, refuses=(400, 409, 413))
    def put(self, request: Request, attachment_id: str) -> HttpResponseBase:
        """Append the next bytes, named by `Content-Range: bytes first-last/total`; the same ones again are harmless."""
        user = session_of(request).user_id
        match = RANGE.fullmatch(request.headers.get("Content-Range", ""))
        if match is None or not int(match[1]) <= int(match[2]) < int(match[3]):
            raise InvalidPayload("bytes first-last/total", field="Content-Range")
        piece = Piece(int(match[1]), int(match[2]) + 1, int(match[3]))
        try:
            row = uploads.append(user, from_wire(attachment_id, AttachmentId), piece, cast(Any, request._request))
        except OutOfPlace as fault:
            refusal = document(fault)
            refusal["Upload-Offset"] = str(fault.received)
            return refusal
        return answer(uploads.wire(row))
