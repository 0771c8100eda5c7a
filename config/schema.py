"""`/api/schema/`: the OpenAPI document, made once by each process and served as bytes with an ETag."""

import hashlib
from functools import cache
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

MEDIA_TYPE = "application/vnd.oai.openapi"


class Document(NamedTuple):
    """The encoded document and its ETag."""

    content: bytes
    etag: str


@cache
def document() -> Document:
    """Make the document: a quarter of a second of work, of which the result never changes."""
    made = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    content: bytes = OpenApiYamlRenderer().render(made, renderer_context={})  # type: ignore[no-untyped-call]
    return Document(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """Return the document, or 304 to a client that has it."""
    made = document()
    unchanged = get_conditional_response(request, etag=made.etag)
    response = unchanged or HttpResponse(made.content, content_type=MEDIA_TYPE)
    response["ETag"], response["Cache-Control"] = made.etag, "no-cache"
    return response
