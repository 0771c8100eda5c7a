"""`/api/schema/`: the OpenAPI document, in YAML or by `?format=json` in JSON.

Each process makes it once and serves the bytes with an ETag.
"""

import hashlib
from functools import cache
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer

RENDERERS = {"yaml": OpenApiYamlRenderer, "json": OpenApiJsonRenderer}


class Document(NamedTuple):
    """The encoded document, its media type and its ETag."""

    content: bytes
    media_type: str
    etag: str


@cache
def document(form: str) -> Document:
    """Make the document in a form of RENDERERS: a quarter of a second of work, of which the result never changes."""
    renderer = RENDERERS[form]()
    made = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    content: Any = renderer.render(made, renderer_context={})
    return Document(content, renderer.media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """Return the document, or 304 to a client that has it."""
    made = document("json" if request.GET.get("format") == "json" else "yaml")
    unchanged = get_conditional_response(request, etag=made.etag)
    response = unchanged or HttpResponse(made.content, content_type=made.media_type)
    response["ETag"], response["Cache-Control"] = made.etag, "no-cache"
    return response
