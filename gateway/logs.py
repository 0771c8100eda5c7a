"""What leaves the process as log: one JSON object a line if asked for, and never a token, ticket, query string or cookie.

The filter sits on the handler, so that it sees every logger's records, libraries' included; uvicorn alone would write
the whole address of a socket, ticket and all.
"""

import json
import logging
import re
import traceback
from datetime import UTC, datetime

REMOVED = "[removed]"
_SECRETS = "token|ticket|resume|access|refresh|password|passwd|secret|secret_key|authorization|cookie|set-cookie|sessionid|parley_session|csrftoken"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A query string, wherever it stands in an address.
    (re.compile(r"\?[\w.%\[\]-]+=[^\s\"'<>]*"), f"?{REMOVED}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {REMOVED}"),
    # A JSON web token without its name.
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), REMOVED),
    # The passwords of DATABASE_URL and its like.
    (re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@"), rf"\1:{REMOVED}@"),
    # token=…, "token": "…", b'authorization', b'…'
    (re.compile(rf"(?i)\b((?:{_SECRETS})[\"']?\s*[:=,]\s*b?)([\"'])(?:(?!\2).)*\2"), rf"\1\2{REMOVED}\2"),
    (re.compile(rf"(?i)\b((?:{_SECRETS})\s*[:=]\s*)(?![\"'\[]|b[\"'])[^\s,;&)}}\]]+"), rf"\1{REMOVED}"),
    # The keys of mails, which stand in paths: who has one sets a password, or confirms an address.
    (re.compile(r"/(password/reset/key|confirm-email)/[^\s\"'/]+"), rf"/\1/{REMOVED}"),
    # PostgreSQL quotes the row that it refused: people's words.
    (re.compile(r"(DETAIL:\s).*"), rf"\1{REMOVED}"),
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """Return the text without whatever could open a door."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


class Redact(logging.Filter):
    """Settles a record's text and traceback with the secrets removed, before any formatter sees them."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            text = f"{record.msg!r} with arguments that do not fit"
        record.msg, record.args = redact(text), None
        if record.exc_info and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


class Expected(logging.Filter):
    """Lowers to a warning, without its traceback, what Django calls an error and is no bug: a refused request.

    `django.security.*` are requests that Django refuses for what their sender has made of them (a scanner's wrong Host).
    An answer of 503 says that something is away or overloaded; what that was is told in a line.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        away = record.name == "django.request" and getattr(record, "status_code", 0) == 503
        if record.levelno == logging.ERROR and (away or record.name.startswith("django.security.")):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            if away and record.exc_info and record.exc_info[1]:
                reason = " ".join(str(record.exc_info[1]).split())
                record.msg, record.args = f"{record.getMessage()}: {reason}", None
            record.exc_info = record.exc_text = None
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, logger, message, process, exception, and the plain extras of the record."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and isinstance(value, str | int | float | bool):
                line[name] = _quiet(name, value)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, ensure_ascii=False)


def _quiet(name: str, value: str | int | float | bool) -> str | int | float | bool:
    if re.fullmatch(_SECRETS, name, re.IGNORECASE):
        return REMOVED
    return redact(value) if isinstance(value, str) else value
