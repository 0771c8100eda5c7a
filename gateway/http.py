"""Shared by all REST views: problem documents (RFC 9457), JSON bodies and answers, numbers of a query."""

import logging
import math
from typing import Any, TypeVar

import msgspec
from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from gateway import codec, errors
from gateway.errors import Refused

S = TypeVar("S", bound=msgspec.Struct)
logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
# Answers hold tokens and private messages: neither browsers nor proxies may cache them.
HEADERS = {"Cache-Control": "no-store"}


def problem(fault: Exception, context: dict[str, Any]) -> Response:
    """Answer a view's exception with `{type, title, status, code, detail, errors?}`. DRF's exception handler."""
    refusal, fields = _as_refusal(fault)
    if isinstance(refusal, errors.Internal):
        logger.error("%s failed", context["view"].__class__.__name__, exc_info=fault)
    return document(refusal, fields)


def document(refusal: Refused, fields: dict[str, list[str]] | None = None) -> Response:
    """Return a refusal as a problem document. It carries `Retry-After` if the refusal does (F373)."""
    body: dict[str, Any] = {
        "type": f"urn:parley:{refusal.code.lower().replace('_', '-')}",
        "title": (type(refusal).__doc__ or "").strip().splitlines()[0],
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.message,
    }
    if refusal.field:
        fields = {refusal.field: [refusal.message], **(fields or {})}
    if fields:
        body["errors"] = fields
    response = Response(body, status=refusal.status, content_type=MEDIA_TYPE, headers=HEADERS)
    if refusal.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="parley"'
    if refusal.retry_after is not None:
        response["Retry-After"] = str(max(1, math.ceil(refusal.retry_after)))
    return response


def _as_refusal(fault: Exception) -> tuple[Refused, dict[str, list[str]] | None]:
    match fault:
        case Refused():
            return fault, None
        case exceptions.ValidationError():
            return errors.InvalidPayload("some fields are missing or wrong"), _fields(fault.detail)
        case exceptions.ParseError() | exceptions.UnsupportedMediaType():
            return errors.BadFrame(str(fault.detail)), None
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return errors.Unauthorized(), None
        case exceptions.PermissionDenied() | PermissionDenied():
            return errors.Forbidden(), None
        case exceptions.NotFound() | Http404():
            return errors.NotFound(), None
        case exceptions.Throttled():
            return errors.RateLimited(retry_after=60), None
        case exceptions.APIException():
            refusal = errors.BadFrame(str(fault.detail))
            refusal.status = fault.status_code  # type: ignore[misc]
            return refusal, None
        case SuspiciousOperation():
            return errors.BadFrame("this request could not be read"), None
        case RecursionError() | UnicodeError():
            return errors.BadFrame("this body could not be read"), None
        case OperationalError() | InterfaceError():
            return errors.Overloaded(retry_after=5), None
    return errors.Internal(), None


def _fields(detail: Any) -> dict[str, list[str]]:
    if not isinstance(detail, dict):
        return {"body": [str(detail)]}
    return {str(name): [str(entry) for entry in (v if isinstance(v, list) else [v])] for name, v in detail.items()}


class JsonParser(BaseParser):
    """Parses JSON like the socket: strict UTF-8, no lone surrogates, no endless nesting, at most the limit in bytes."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(most + 1)
        if len(raw) > most:
            raise errors.FrameTooLarge(f"at most {most} bytes")
        try:
            return msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
            raise exceptions.ParseError(str(fault)) from None


def body(request: Request, shape: type[S]) -> S:
    """Return the JSON body as a struct. Raises InvalidPayload with the wire name of the wrong field."""
    try:
        return msgspec.convert(request.data, shape)
    except msgspec.ValidationError as fault:
        raise errors.InvalidPayload(str(fault), field=codec.field_of(fault)) from None


def fields_set(change: msgspec.Struct) -> dict[str, Any]:
    """Return the fields that a change sets, by Python name; a field that is left out is `UNSET`."""
    return {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not msgspec.UNSET}


def answer(content: Any, *, status: int = 200) -> HttpResponse:
    """Return a response of structs as JSON, encoded as on the socket."""
    return HttpResponse(codec.encode(content), status=status, content_type="application/json", headers=HEADERS)


def wire_int(request: Request, name: str, *, default: int | None = None, low: int = 0, high: int = 2**63 - 1) -> Any:
    """Return a whole number from the query, or the default. Raises InvalidPayload with its name."""
    raw = request.query_params.get(name)
    if raw is None or raw == "":
        return default
    if not (raw.isascii() and raw.isdigit() and len(raw) < 20) or not low <= int(raw) <= high:
        raise errors.InvalidPayload(f"{name}: a whole number from {low} to {high}", field=name)
    return int(raw)
