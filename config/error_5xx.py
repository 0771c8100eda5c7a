"""The answer to a failed request: 503 with Retry-After if the database is unavailable, 500 for a bug."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.defaults import server_error

from gateway import codec
from gateway.errors import Overloaded
from gateway.http import HEADERS, MEDIA_TYPE, document

RETRY_AFTER_SECONDS = 5


def handle(request: HttpRequest) -> HttpResponse:
    """Answer a request that failed in a middleware or a page's view. Django's `handler500`.

    It reads the exception from `sys.exception()`. Failures in views of the API are answered by `gateway.http.problem`.
    """
    if not isinstance(sys.exception(), OperationalError | InterfaceError):
        return server_error(request)
    problem = document(Overloaded(retry_after=RETRY_AFTER_SECONDS))
    if request.path.startswith("/api/"):
        response = HttpResponse(codec.encode(problem.data), content_type=MEDIA_TYPE)
    else:
        # Rendered without the request, because its session and user would be read from the database.
        response = HttpResponse(loader.get_template("503.html").render())
    response.status_code = problem.status_code
    for name, value in {**HEADERS, "Retry-After": problem["Retry-After"]}.items():
        response[name] = value
    return response
