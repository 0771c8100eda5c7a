"""What a request answers that handle: 503 and when to come again where the database is away, 500 for a bug."""

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
    """Django's handler of 500, called while the failure is handled, whichever middleware or view it came from.

    What fails in a view of the API never comes here: `gateway.http.problem` answers it.
    """
    if not isinstance(sys.exception(), OperationalError | InterfaceError):
        return server_error(request)
    problem = document(Overloaded(retry_after=RETRY_AFTER_SECONDS))
    if request.path.startswith("/api/"):
        response = HttpResponse(codec.encode(problem.data), content_type=MEDIA_TYPE)
    else:
        # Without the request: what the page would know of it stands in the database.
        response = HttpResponse(loader.get_template("503.html").render())
    response.status_code = problem.status_code
    for name, value in {**HEADERS, "Retry-After": problem["Retry-After"]}.items():
        response[name] = value
    return response
