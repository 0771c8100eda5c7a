"""No token, ticket, query string, cookie or stored text reaches a log line, from any logger."""

import io
import json
import logging
import sys
import time
from typing import Any

import pytest

from gateway.logs import LONGEST, Expected, JsonFormatter, Redact, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
SECRET = "s3cr3t-Value_that.must~go"

LEAKS = {
    "uvicorn's line of a socket": f'127.0.0.1:5 - "WebSocket /ws/v1?ticket={SECRET}&resume={SECRET}" [accepted]',
    "a whole address": f"GET https://chat.example/ws/v1?v=1&token={SECRET} 101",
    "a nested parameter": f"/search?filters[from]={SECRET}",
    "a bearer header": f"Authorization: Bearer {SECRET}",
    "a header list": f"(b'authorization', b'Bearer {SECRET}')",
    "a header mapping": f"{{'cookie': 'parley_session={SECRET}; csrftoken={SECRET}'}}",
    "a JSON body": f'{{"refresh": "{SECRET}", "password":"{SECRET} with blanks"}}',
    "a pair": f"ticket={SECRET}",
    "a lone token": f"could not decode {JWT}",
    "a database's URL": f"connecting to postgresql://parley:{SECRET}@db/parley",
    "the key of a password's mail": f"Not Found: /accounts/password/reset/key/2x-{SECRET}/",
    "the key of an address's mail": f"GET https://chat.example/accounts/confirm-email/{SECRET}/ 302",
    "a refused row": f'duplicate key value violates unique constraint "x"\nDETAIL:  Key (content)=({SECRET}) already exists.',
}


def written(formatter: logging.Formatter, message: Any, *arguments: Any, **options: Any) -> str:
    """Return the output of a logger with Parley's handler for one call."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(Redact())
    logger = logging.Logger("some.library")
    logger.addHandler(handler)
    logger.warning(message, *arguments, **options)
    return stream.getvalue()


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
@pytest.mark.parametrize("formatter", [logging.Formatter(), JsonFormatter()], ids=["console", "json"])
def test_secret_is_removed_from_log_text(leak: str, formatter: logging.Formatter) -> None:
    for line in (written(formatter, leak), written(formatter, "heard: %s", leak), written(formatter, "%r", leak)):
        assert SECRET not in line
        assert JWT not in line
        assert "[removed]" in line


def test_secret_is_removed_from_traceback_which_is_kept() -> None:
    try:
        raise RuntimeError(f"no such ticket={SECRET}")
    except RuntimeError:
        line = written(JsonFormatter(), "a bug", exc_info=sys.exc_info())
    assert SECRET not in line
    assert "RuntimeError" in json.loads(line)["exception"]
    assert "test_logs.py" in json.loads(line)["exception"]


@pytest.mark.parametrize(
    "harmless",
    [
        "Is it ready? Yes.",
        "took 12 ms",
        "/accounts/confirm-email/",
        "member 7301 joined conversation 42",
        "retry in 5 s (x=1)",
        "what?",
    ],
)
def test_text_without_secret_is_unchanged(harmless: str) -> None:
    assert redact(harmless) == harmless


def test_json_line_has_time_level_logger_and_plain_extras() -> None:
    extra = {"connection_id": 7, "traceparent": "00-ab-cd-01", "token": SECRET, "request": object()}
    line = json.loads(written(JsonFormatter(), "slow: %d ms", 12, extra=extra))
    assert line["at"].endswith("Z")
    assert (line["level"], line["logger"], line["message"]) == ("warning", "some.library", "slow: 12 ms")
    assert (line["connection_id"], line["traceparent"], line["token"]) == (7, "00-ab-cd-01", "[removed]")
    assert "request" not in line


def test_mismatched_log_arguments_are_logged_without_raising() -> None:
    assert "do not fit" in written(logging.Formatter(), "%d frames", "many")


@pytest.mark.parametrize(
    ("name", "status", "level"),
    [("django.request", 503, "WARNING"), ("django.request", 500, "ERROR"), ("django.security.X", 400, "WARNING")],
)
def test_refused_requests_are_logged_as_warnings_and_bugs_as_errors(name: str, status: int, level: str) -> None:
    fault = OSError("nobody\nanswers")
    record = logging.makeLogRecord(
        {"name": name, "levelno": logging.ERROR, "levelname": "ERROR", "msg": "%s: %s", "args": ("Away", "/")}
        | {"status_code": status, "exc_info": (OSError, fault, None)}
    )
    assert Expected().filter(record)
    assert (record.levelname, bool(record.exc_info)) == (level, level == "ERROR")
    assert record.getMessage() == ("Away: /: nobody answers" if status == 503 else "Away: /")


HOSTILE = (
    "-eyJ", "eyJaaaaaaaa.", "?a", "?a=", "bearer ", "bearer \t", "://", "://:", "://a:", "token", "token=", "token=\"", "token='\"",
    "token ", "cookie, ", "/confirm-email/", "/password/reset/key", "DETAIL: ", "a", "\n", '"', "'",
)  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_cost_of_redaction_grows_with_the_length_of_a_hostile_text(piece: str) -> None:
    short, long = (min(cost((piece * LONGEST)[:size]) for _ in range(5)) for size in (LONGEST // 8, LONGEST))
    assert long < 24 * short + 0.001, "eight times the text may cost about eight times as much, and not 64 times"


def cost(text: str) -> float:
    """Return the CPU seconds of this thread that redacting a text takes."""
    before = time.thread_time()
    redact(text)
    return time.thread_time() - before


def test_long_text_is_cut_before_it_is_redacted() -> None:
    assert redact("a" * (LONGEST + 7)) == "a" * LONGEST + "… (7 more)"
