"""Pages of other origins at the API (F268): those of PARLEY_ORIGINS may use it with a bearer token, browsers keep it from all others.

No get_response says that cookies may come along: what a web session may do, it does from our own pages.
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
    """Return Django's middleware that answers a browser which preflight whether a page may, and says so in other answers."""

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
