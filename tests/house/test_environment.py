"""The table of environment variables: documented, complete, and strict with invalid values."""

import json
import os
import re
import subprocess
import sys

import pytest

from config.env import BASE_DIR, TABLE, Variable, WrongEnvironment, hosts, load, secret_key, sign_up

OPERATIONS = BASE_DIR / "docs" / "operations.md"
CODE = (
    "accounts",
    "chat",
    "config",
    "gateway",
    "holds",
    "notifications",
    "outbox",
    "presence",
    "receipts",
    "script",
    "search",
)
# Read by scripts without the table, and the prefix of the limits' overrides.
BESIDES = {"PARLEY_CHROMIUM", "PARLEY_LIMIT_"}


def row(variable: Variable) -> str:
    """Return the row of a variable in the docs."""
    default = "`var/`" if variable.name == "PARLEY_VAR" else f"`{variable.default}`" if variable.default else ""
    return f"| `{variable.name}` | {default} | {variable.meaning} |"


@pytest.mark.parametrize("variable", TABLE, ids=lambda variable: variable.name)
def test_environment_variables_are_documented(variable: Variable) -> None:
    assert row(variable) in OPERATIONS.read_text().splitlines(), (
        f"put this row into docs/operations.md: {row(variable)}"
    )


def test_environment_variables_read_by_the_code_are_in_the_table() -> None:
    known = {variable.name for variable in TABLE}
    files = [file for folder in CODE for file in (BASE_DIR / folder).rglob("*") if file.suffix in (".py", "")]
    named = {
        (name, str(file.relative_to(BASE_DIR)))
        for file in files
        if file.is_file()
        for name in re.findall(r"\bPARLEY_[A-Z_]+", file.read_text())
    }
    unknown = sorted(pair for pair in named if pair[0] not in known and not any(pair[0].startswith(b) for b in BESIDES))
    assert not unknown, "add to TABLE in config/env.py"


def test_environment_defaults_parse_and_meanings_are_sentences() -> None:
    assert load({}).keys() == {variable.name for variable in TABLE}
    assert all(variable.meaning.endswith(".") for variable in TABLE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARLEY_PORT", "eighty"),
        ("PARLEY_PORT", "0"),
        ("PARLEY_SERVER", "gunicorn"),
        ("PARLEY_DEMO", "perhaps"),
        ("PARLEY_SHARD", "1024"),
        ("DATABASE_URL", "mysql://here"),
        ("REDIS_URL", "localhost:6379"),
        ("PARLEY_PORT", "65536"),
        ("DATABASE_URL", "postgres://here:many/parley"),
        ("EMAIL_URL", "smtp://mail.example.org:70000"),
        ("PARLEY_SIGN_UP", "perhaps"),
        ("PARLEY_SIGN_UP", "domains:"),
        ("PARLEY_SIGN_UP", "domains:@example.org"),
        ("PARLEY_SIGN_UP", "open:example.org"),
    ],
)
def test_invalid_environment_value_stops_the_start_with_its_name(name: str, value: str) -> None:
    with pytest.raises(WrongEnvironment, match=name):
        load({name: value})


def test_secret_key_is_required_outside_the_demo() -> None:
    with pytest.raises(WrongEnvironment, match="PARLEY_SECRET_KEY"):
        secret_key(load({}))
    with pytest.raises(WrongEnvironment, match="PARLEY_SECRET_KEY"):
        secret_key(load({"PARLEY_SECRET_KEY": "short"}))


@pytest.mark.parametrize(
    ("environ", "rule"),
    [
        ({"PARLEY_DEMO": "1"}, ("open", [])),
        ({}, ("invite", [])),
        ({"PARLEY_SIGN_UP": "closed"}, ("closed", [])),
        (
            {"PARLEY_SIGN_UP": "domains: A.example,b.example", "EMAIL_URL": "smtp://m"},
            ("domains", ["a.example", "b.example"]),
        ),
        ({"PARLEY_SIGN_UP": "open", "EMAIL_URL": "smtp://m"}, ("open", [])),
    ],
)
def test_sign_up_is_by_invitation_outside_the_demo_unless_set(environ: dict[str, str], rule: object) -> None:
    assert sign_up(load(environ)) == rule


@pytest.mark.parametrize("rule", ["open", "domains:a.example"])
def test_sign_up_of_strangers_needs_a_mail_server(rule: str) -> None:
    with pytest.raises(WrongEnvironment, match="EMAIL_URL"):
        sign_up(load({"PARLEY_SIGN_UP": rule}))


def test_hosts_are_required_outside_the_demo() -> None:
    with pytest.raises(WrongEnvironment, match="PARLEY_HOSTS"):
        hosts(load({}))
    assert hosts(load({"PARLEY_HOSTS": "chat.example.org"})) == ["chat.example.org"]
    assert hosts(load({"PARLEY_DEMO": "1"})) == ["localhost", "127.0.0.1", "[::1]"]


MAILS = {
    "smtp://u:p@mail.example.org": ("mail.example.org", 587, True, False),
    "smtps://u:p@mail.example.org": ("mail.example.org", 465, False, True),
    "smtp+plain://127.0.0.1": ("127.0.0.1", 25, False, False),
}


@pytest.mark.parametrize(("url", "sender"), [(url, "") for url in MAILS] + [("smtp://m.example.org", "team@b.example")])
def test_mail_is_encrypted_unless_the_url_says_plain_and_has_a_sender(url: str, sender: str) -> None:
    code = (
        "from django.conf import settings as s; import json; print(json.dumps([s.EMAIL_HOST, s.EMAIL_PORT,"
        " s.EMAIL_USE_TLS, s.EMAIL_USE_SSL, s.EMAIL_TIMEOUT, s.DEFAULT_FROM_EMAIL]))"
    )
    environ = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "PARLEY_DEMO": "0", "PARLEY_SECRET_KEY": "x" * 60,
        "PARLEY_HOSTS": "chat.example.org", "EMAIL_URL": f"{url}?from={sender}" if sender else url,
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    *transport, timeout, sent_by = json.loads(done.stdout)
    assert tuple(transport) == MAILS.get(url, ("m.example.org", 587, True, False))
    assert (timeout, sent_by) == (5, sender or "parley@chat.example.org")
