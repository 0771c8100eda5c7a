"""The answer to an unknown path: a problem document below /api/, a page elsewhere."""

from django.http import HttpRequest, HttpResponse
from django.views.defaults import page_not_found

from gateway import codec
from gateway.errors import NotFound
from gateway.http import HEADERS, MEDIA_TYPE, document


def handle(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an unknown path. Django's `handler404`."""
    if not request.path.startswith("/api/"):
        return page_not_found(request, exception)
    problem = document(NotFound("there is no such path"))
    return HttpResponse(codec.encode(problem.data), status=404, content_type=MEDIA_TYPE, headers=HEADERS)
