"""Accounts for the browser tests, each unique, left behind."""

import json
import secrets
import urllib.request
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.test import Client

from accounts.models import User
from tests import factories

PASSWORD = "a-long-enough-passphrase-7"


@dataclass(frozen=True)
class Account:
    """A registered person; `base` is the server's address."""

    base: str
    id: str
    name: str
    access: str
    email: str = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the REST API as this person and return the answer."""
        return call(self.base, method, path, body, access=self.access)


def register(base: str, name: str) -> Account:
    """Make an account with a name that no other test uses, and with a password, over REST."""
    name = f"{name} {secrets.token_hex(3)}"
    email = f"{secrets.token_hex(8)}@example.org"
    entry = call(base, "POST", "/auth/register", {"email": email, "password": PASSWORD, "displayName": name})
    return Account(base=base, id=entry["user"]["id"], name=name, access=entry["access"], email=email)


def someone(base: str, name: str) -> Account:
    """Make an account as the other tests do, without a password: quicker, and no limit on sign-ins is met."""
    made = factories.someone(f"{name} {secrets.token_hex(3)}")
    return Account(base=base, id=str(made.id), name=made.name, access=made.access)


def session_of(account: Account) -> str:
    """Return the cookie of a new web session."""
    client = Client()
    client.force_login(User.objects.get(pk=account.id))
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


def call(base: str, method: str, path: str, body: Any, *, access: str | None = None) -> Any:
    """Call the REST API. Raises urllib's HTTPError for a refusal."""
    headers = {"Content-Type": "application/json"}
    if access:
        headers["Authorization"] = f"Bearer {access}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}/api/v1{path}", data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text else None
