"""The table of all environment variables: name, parser, default, meaning. An invalid value stops the start with its name."""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

BASE_DIR = Path(__file__).resolve().parent.parent


class WrongEnvironment(SystemExit):
    """An environment variable has an invalid value. The text names it and says what to do."""


def text(value: str) -> str:
    return value


def flag(value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("use 1 or 0")


def optional_flag(value: str) -> bool | None:
    return flag(value) if value else None


def shard(value: str) -> int:
    if not 0 <= int(value) <= 1023:
        raise ValueError("use 0 to 1023")
    return int(value)


def word_list(value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def path(value: str) -> Path:
    return Path(value).expanduser().resolve()


def positive(value: str) -> int:
    if int(value) < 1:
        raise ValueError("use a whole number from 1")
    return int(value)


def port(value: str) -> int:
    if not 1 <= int(value) <= 65535:
        raise ValueError("use 1 to 65535")
    return int(value)


def origins(value: str) -> list[str]:
    """Return origins in the form that browsers send: `https://host` or `https://host:port`."""
    values = [word.lower().rstrip("/") for word in word_list(value)]
    for origin in values:
        parts = urlparse(origin)
        if parts.scheme not in ("http", "https") or "*" in origin or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(f"{origin} is no origin: write it as https://chat.example.org")
    return values


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"use one of {', '.join(choices)}")
        return value

    return parse


def url(*schemes: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        parts = urlparse(value)
        if value and parts.scheme not in schemes:
            raise ValueError(f"use a URL that begins with {' or '.join(s + '://' for s in schemes)}")
        _ = parts.port  # raises ValueError for one that is no number, or above 65535
        return value

    return parse


def sign_up_rule(value: str) -> tuple[str, list[str]]:
    """Return the kind of a sign-up rule and the domains that it names, in lower case."""
    kind, colon, names = value.partition(":")
    domains = word_list(names.lower())
    plain = kind in ("", "open", "invite", "closed") and not colon
    if not plain and not (kind == "domains" and domains and all("." in name and "@" not in name for name in domains)):
        raise ValueError("use open, domains:a.example,b.example, invite or closed")
    return kind, domains


@dataclass(frozen=True)
class Variable:
    """One environment variable. `default` is a text, as in the environment."""

    name: str
    parse: Callable[[str], Any]
    default: str
    meaning: str


TABLE = (
    Variable("PARLEY_ROLE", one_of("web", "worker", "beat", "manage"), "manage", "What this process is; picks its database profile. The start scripts set it."),
    Variable("PARLEY_DEMO", flag, "0", "The demo: a generated secret under PARLEY_VAR, plain http on localhost, a demo team. `script/server` sets it where no PARLEY_SECRET_KEY is given."),
    Variable("PARLEY_VAR", path, str(BASE_DIR / "var"), "Folder for the embedded servers, media and logs."),
    Variable("PARLEY_SECRET_KEY", text, "", "Signs sessions and tokens; at least 50 random characters. Needed outside the demo."),
    Variable("PARLEY_DEBUG", flag, "0", "Django's debug pages. Never where others can reach it."),
    Variable("PARLEY_HOSTS", word_list, "", "Host names that this installation answers to, separated by commas. Needed outside the demo."),
    Variable("PARLEY_ORIGINS", origins, "", "Origins (scheme://host) that may use the API (with a token) and the socket from a browser besides its own pages."),
    Variable("PARLEY_BEHIND_PROXY", flag, "0", "A TLS-terminating proxy sets X-Forwarded-Proto and X-Forwarded-For: trust them."),
    Variable("PARLEY_PROXIES", word_list, "127.0.0.1,::1", "Addresses or networks of those proxies, as the web server sees them; uvicorn trusts no other, Daphne must be reached through them alone."),
    Variable("PARLEY_SIGN_UP", sign_up_rule, "", "Who may make an account: `open`, `domains:a.example,b.example` (addresses of these), `invite` (with a link from the admin or `manage.py invite`) or `closed`. Empty: open in the demo, invite elsewhere."),
    Variable("PARLEY_METRICS_TOKEN", text, "", "Bearer token that /metrics asks for. Empty: open in the demo, closed elsewhere."),
    Variable("PARLEY_TLS", flag, "1", "Pages are served over https: secure cookies, redirect, HSTS. The demo turns it off."),
    Variable("PARLEY_HOST", text, "127.0.0.1", "Address that the web server listens on."),
    Variable("PARLEY_PORT", port, "8000", "Port that the web server listens on."),
    Variable("PARLEY_WEB_PROCESSES", positive, "1", "Web processes on this machine."),
    Variable("PARLEY_SERVER", one_of("uvicorn", "daphne"), "uvicorn", "The ASGI server of the web role."),
    Variable("PARLEY_THREADS", positive, "8", "Threads, and so database connections, for handlers in each web process."),
    Variable("PARLEY_TOKEN_IN_URL", optional_flag, "", "Accept `?token=` on the socket (F271). Empty: on in the demo, off elsewhere."),
    Variable("PARLEY_SHARD", shard, "0", "Number of this installation in generated ids, 0 to 1023."),
    Variable("PARLEY_LOG", one_of("json", "console"), "console", "Log format; `json` for machines."),
    Variable("PARLEY_SQL_TIMEOUT_MS", positive, "10000", "Statements of a web process are cancelled after so many milliseconds."),
    Variable("PARLEY_CLAMD", url("tcp", "unix"), "", "ClamAV's daemon, `tcp://host:3310` or `unix:///run/clamav/clamd.ctl`: files are shown after its verdict. Empty: no file is scanned."),
    Variable("PARLEY_BUCKET", text, "", "S3 bucket for files; credentials as AWS has them (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the machine's role). Empty: files are kept under PARLEY_VAR."),
    Variable("PARLEY_BUCKET_ENDPOINT", url("http", "https"), "", "Address of an S3 service that is not Amazon's, as browsers reach it."),
    Variable("PARLEY_BUCKET_REGION", text, "", "Region of the bucket."),
    Variable("PARLEY_UPLOAD_TYPES", word_list, "*", "Types of files that are taken, as patterns like `image/*`, separated by commas."),
    Variable("PARLEY_UPLOAD_TYPES_REFUSED", word_list, "application/vnd.microsoft.portable-executable,application/x-msdownload,application/x-dosexec", "Types of files that are refused, by their bytes or by what they are said to be."),
    Variable("DATABASE_URL", url("postgresql", "postgres"), "", "PostgreSQL 15 to 18. Empty: the embedded server under PARLEY_VAR."),
    Variable("REDIS_URL", url("redis", "rediss", "unix"), "", "Redis 6.2 or later, or Valkey. Empty: the embedded server under PARLEY_VAR."),
    Variable("EMAIL_URL", url("smtp", "smtps", "smtp+plain"), "", "Mail server: `smtp://` with STARTTLS (port 587), `smtps://` with TLS (465), `smtp+plain://` in clear, for a relay on this machine (25). `?from=` is the sender, else `parley@` and the first host. Empty: mails are printed to the log."),
)  # fmt: skip


def load(environ: Mapping[str, str]) -> dict[str, Any]:
    """Parse every variable of TABLE from `environ`.

    Raises WrongEnvironment with the variable's name, the error and the variable's meaning.
    """
    values = {}
    for variable in TABLE:
        raw = environ.get(variable.name, "") or variable.default
        try:
            values[variable.name] = variable.parse(raw)
        except ValueError as fault:
            raise WrongEnvironment(f"{variable.name}: {fault}. It means: {variable.meaning}") from None
    return values


def demo_secret(var: Path) -> str:
    """Return the demo's secret: created once, stored under `var`, readable by the owner only."""
    file = var / "secret_key"
    if not file.exists():
        var.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(48))
    return file.read_text()


def secret_key(values: Mapping[str, Any]) -> str:
    """Return the signing secret; outside the demo it must be set, with at least 50 characters."""
    key: str = values["PARLEY_SECRET_KEY"]
    if not key and values["PARLEY_DEMO"]:
        return demo_secret(values["PARLEY_VAR"])
    if len(key) < 50:
        raise WrongEnvironment(
            "PARLEY_SECRET_KEY: give at least 50 random characters, for example from "
            "`python3 -c 'import secrets; print(secrets.token_urlsafe(48))'`, or set PARLEY_DEMO=1 to try Parley out."
        )
    return key


def hosts(values: Mapping[str, Any]) -> list[str]:
    """Return the allowed host names; outside the demo PARLEY_HOSTS must name at least one."""
    names: list[str] = values["PARLEY_HOSTS"]
    if values["PARLEY_DEMO"]:
        return [*names, "localhost", "127.0.0.1", "[::1]"]
    if not names:
        raise WrongEnvironment("PARLEY_HOSTS: name the host, for example chat.example.org, or set PARLEY_DEMO=1.")
    return names


def sign_up(values: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the kind of the sign-up rule and its domains.

    Outside the demo `open` and `domains` need a mail server: without a mail nobody proves that an address is theirs.
    """
    kind, domains = values["PARLEY_SIGN_UP"]
    if kind in ("open", "domains") and not (values["PARLEY_DEMO"] or values["EMAIL_URL"]):
        raise WrongEnvironment(
            f"PARLEY_SIGN_UP: {kind} needs EMAIL_URL, because addresses are confirmed by mail. Without a mail server use "
            "invite: there an invitation confirms the address."
        )
    return kind or ("open" if values["PARLEY_DEMO"] else "invite"), domains


ENV = load(os.environ)
