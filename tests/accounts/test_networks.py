"""The network of a request, for limits: the address that a trusted proxy saw, never one that a client claims."""

import secrets
from collections.abc import Sequence

import pytest
from django.conf import settings

from tests.accounts.conftest import PASSWORD, new_email
from tests.chat.rest import Api
from tests.servers import serve

MOST = 2


def random_address() -> str:
    """Return an address of no other test: limits count by network."""
    return ".".join(["10", *(str(secrets.randbelow(256)) for _ in range(3))])


def register_each(claims: Sequence[str], *, server: str, proxies: str) -> list[int]:
    """Register with each X-Forwarded-For at a server that allows MOST of them for a network; return the statuses."""
    with serve(
        settings.DATABASES["default"]["NAME"],
        PARLEY_SERVER=server,
        PARLEY_BEHIND_PROXY="1",
        PARLEY_PROXIES=proxies,
        PARLEY_LIMIT_SIGN_INS_PER_MINUTE=str(MOST),
    ) as running:
        return [
            Api(running, headers={"X-Forwarded-For": claim})
            .post("auth/register", {"email": new_email(), "password": PASSWORD, "displayName": "Somebody"})
            .status
            for claim in claims
        ]


@pytest.mark.parametrize("server", ["uvicorn", "daphne"])
def test_forwarded_address_claimed_by_a_client_is_ignored(server: str) -> None:
    client, other = random_address(), random_address()
    claims = [f"{random_address()}, {client}" for _ in range(MOST + 1)] + [f"{random_address()}, {other}"]

    assert register_each(claims, server=server, proxies="127.0.0.1") == [201] * MOST + [429, 201]


def test_forwarded_address_from_an_untrusted_peer_is_ignored() -> None:
    claims = [random_address() for _ in range(MOST + 1)]

    assert register_each(claims, server="uvicorn", proxies="192.0.2.1") == [201] * MOST + [429]


def test_address_behind_two_proxies_is_the_one_before_both() -> None:
    claims = [f"{random_address()}, 192.0.2.1" for _ in range(MOST + 1)]

    assert register_each(claims, server="uvicorn", proxies="127.0.0.1,192.0.2.0/24") == [201] * (MOST + 1)
