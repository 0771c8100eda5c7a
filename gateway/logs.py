"""Log output: one JSON object a line if configured, without tokens, tickets, query strings and cookies.

The filter is attached to the handler, so that it sees the records of all loggers, libraries included: uvicorn, for
example, logs the whole address of a socket with its ticket.
"""

import json
import logging
import re
import traceback
from datetime import UTC, datetime

REMOVED = "[removed]"
# A traceback has a few thousand characters; a client can make an address of 64 KB.
LONGEST = 16_384
_SECRETS = "token|ticket|resume|access|refresh|password|passwd|secret|secret_key|authorization|cookie|set-cookie|sessionid|parley_session|csrftoken"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A query string, anywhere in an address.
    (re.compile(r"\?[\w.%\[\]-]+=[^\s\"'<>]*"), f"?{REMOVED}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {REMOVED}"),
    # A bare JSON web token. It begins where a run of its characters begins: else each `-eyJ` would be read to the run's end.
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), REMOVED),
    # The password of DATABASE_URL and other addresses.
    (re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@"), rf"\1:{REMOVED}@"),
    # token=…, "token": "…", b'authorization', b'…'
    (re.compile(rf"(?i)\b((?:{_SECRETS})[\"']?\s*[:=,]\s*b?)([\"'])(?:(?!\2).)*\2"), rf"\1\2{REMOVED}\2"),
    (re.compile(rf"(?i)\b((?:{_SECRETS})\s*[:=]\s*)(?![\"'\[]|b[\"'])[^\s,;&)}}\]]+"), rf"\1{REMOVED}"),
    # Keys from mails, in paths: they allow to set a password or to confirm an address.
    (re.compile(r"/(password/reset/key|confirm-email)/[^\s\"'/]+"), rf"/\1/{REMOVED}"),
    # PostgreSQL quotes the refused row, which holds what users wrote.
    (re.compile(r"(DETAIL:\s).*"), rf"\1{REMOVED}"),
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """Return the text with credentials and private content removed, and cut to LONGEST characters."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text) - LONGEST} more)"
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


class Redact(logging.Filter):
    """Removes secrets from the text and traceback of a record, before any formatter sees them."""

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
    """Lowers records of refused requests, which Django logs as errors, to warnings without a traceback.

    `django.security.*` are malformed requests (a scanner's wrong Host). A 503 means that a dependency is unavailable or
    overloaded: the reason is added to the line.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        unavailable = record.name == "django.request" and getattr(record, "status_code", 0) == 503
        if record.levelno == logging.ERROR and (unavailable or record.name.startswith("django.security.")):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            if unavailable and record.exc_info and record.exc_info[1]:
                reason = " ".join(str(record.exc_info[1]).split())
                record.msg, record.args = f"{record.getMessage()}: {reason}", None
            record.exc_info = record.exc_text = None
        return True


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object: at, level, logger, message, process, exception, and its plain extra fields."""

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
                line[name] = _redacted(name, value)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, ensure_ascii=False)


def _redacted(name: str, value: str | int | float | bool) -> str | int | float | bool:
    if re.fullmatch(_SECRETS, name, re.IGNORECASE):
        return REMOVED
    return redact(value) if isinstance(value, str) else value
