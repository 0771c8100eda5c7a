"""The claims of docs/operations.md on outages and the log: 503 without PostgreSQL, and only bugs logged as errors."""

import json
import secrets

from django.conf import settings
from django.test import Client

from accounts.models import User
from tests.chat.rest import Api
from tests.factories import someone
from tests.servers import Server, serve


def test_rest_without_the_database_answers_503_with_retry_after() -> None:
    """F373."""
    ada = someone()

    with serve("no_such_database") as server:
        answer = Api(server, ada).get("conversations")

    assert (answer.status, answer.code) == (503, "OVERLOADED")
    assert int(answer.headers["retry-after"]) >= 1


def test_request_with_an_unknown_host_is_logged_as_a_warning(server: Server) -> None:
    name = f"{secrets.token_hex(8)}.example"

    answer = Api(server)("GET", "/", headers={"Host": name})

    assert answer.status == 400
    lines = [line for line in server.text().splitlines() if name in line]
    assert ["WARNING" in line for line in lines] == [True]


def test_page_without_the_database_answers_503_and_logs_no_error() -> None:
    """A page reads its session first; below /api/ a failed middleware answers with a problem document (K29)."""
    ada = Client()
    ada.force_login(User.objects.get(id=someone().id))
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={ada.session.session_key}"}

    with serve("no_such_database", PARLEY_LOG="json") as server:
        page = Api(server)("GET", "/", headers=headers)
        rest = Api(server)("GET", "conversations", headers=headers)
        lines = [json.loads(line) for line in server.text().splitlines() if line.startswith("{")]

    assert (page.status, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert (rest.status, rest.code) == (503, "OVERLOADED")
    for answer in (page, rest):
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["cache-control"] == "no-store"
    assert "content-security-policy" in page.headers
    assert [line for line in lines if line["level"] == "error"] == []
    (record,) = [line for line in lines if line["message"].startswith("Service Unavailable: /:")]
    assert (record["level"], "exception" in record) == ("warning", False)
