"""CORS headers of the API (F268): pages of PARLEY_ORIGINS may use it with a bearer token, other origins may not.

The headers never allow credentials: only pages of this installation can use a web session.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

METHODS = "GET, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Content-Range, Idempotency-Key, If-None-Match, If-Range, Range, traceparent"
)
EXPOSED_HEADERS = "Content-Disposition, Content-Range, ETag, Retry-After, Upload-Offset"
MAX_AGE_SECONDS = "600"


def add_headers(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return a Django middleware that answers CORS preflights and adds CORS headers to the API's responses."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/api/"):
            return get_response(request)
        origin = request.headers.get("Origin", "")
        allowed = origin in settings.ORIGINS
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response = HttpResponse(status=204) if allowed and preflight else get_response(request)
        patch_vary_headers(response, ["Origin"])
        if allowed:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        if allowed and preflight:
            response["Access-Control-Allow-Methods"] = METHODS
            response["Access-Control-Allow-Headers"] = REQUEST_HEADERS
            response["Access-Control-Max-Age"] = MAX_AGE_SECONDS
        return response

    return middleware
