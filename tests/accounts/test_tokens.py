"""Token pairs: rotation, theft, forgery."""

import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import jwt
import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts import devices, tokens, users
from accounts.models import Device, RefreshToken
from gateway.bus import Event
from gateway.errors import TokenExpired, Unauthorized
from tests.accounts.conftest import Somebody

Make = Callable[..., Somebody]


def test_access_token_contains_user_device_and_expiry(somebody: Make) -> None:
    who = somebody()
    session = tokens.verify_access(who.pair.access)
    assert (session.user_id, session.device_id) == (who.id, who.device_id)
    assert session.expires_at == who.pair.access_expires_at.timestamp()
    assert 0 <= time.time() + settings.LIMITS.access_token - session.expires_at < 5


def test_refresh_token_is_stored_as_a_hash(somebody: Make) -> None:
    who = somebody()
    row = RefreshToken.objects.get(device=who.device)
    assert len(row.token_hash) == 32
    assert who.pair.refresh.encode() not in bytes(row.token_hash)


def test_refresh_token_is_exchanged_for_a_pair_of_the_same_device(somebody: Make) -> None:
    who = somebody()
    fresh = tokens.rotate(who.pair.refresh)
    assert fresh.refresh != who.pair.refresh
    assert tokens.verify_access(fresh.access)[:2] == (who.id, who.device_id)
    assert tokens.rotate(fresh.refresh).device_id == who.device_id


def test_reuse_of_a_refresh_token_signs_out_its_family(somebody: Make, published: list[Event]) -> None:
    who = somebody()
    fresh = tokens.rotate(who.pair.refresh)
    with pytest.raises(tokens.TokenReused):
        tokens.rotate(who.pair.refresh)
    assert Device.objects.get(pk=who.device_id).revoked_at is not None
    for access in (who.pair.access, fresh.access):
        with pytest.raises(devices.Revoked):
            tokens.verify_access(access)
    with pytest.raises(tokens.WrongToken):
        tokens.rotate(fresh.refresh)
    assert [(o.close_device, o.code) for o in published] == [(who.device_id, 4401)]


def test_reuse_of_a_refresh_token_keeps_other_devices_signed_in(somebody: Make, published: list[Event]) -> None:
    who = somebody()
    other = tokens.issue(devices.add(who.id))
    tokens.rotate(who.pair.refresh)
    with pytest.raises(tokens.TokenReused):
        tokens.rotate(who.pair.refresh)
    assert tokens.verify_access(other.access).device_id == other.device_id


def test_one_of_concurrent_rotations_succeeds_and_the_family_is_signed_out(
    somebody: Make, published: list[Event]
) -> None:
    who = somebody()
    start = threading.Barrier(4)

    def rotate(_: int) -> str:
        try:
            start.wait()
            tokens.rotate(who.pair.refresh)
        except Unauthorized as refusal:
            return type(refusal).__name__
        finally:
            connection.close()
        return "rotated"

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(rotate, range(4)))
    assert results.count("rotated") == 1
    assert results.count("TokenReused") >= 1
    assert Device.objects.get(pk=who.device_id).revoked_at is not None
    assert not RefreshToken.objects.filter(device=who.device).exists()
    assert [o.close_device for o in published] == [who.device_id]


def test_expired_refresh_token_is_refused_without_signing_out(somebody: Make) -> None:
    who = somebody()
    with (
        time_machine.travel(timezone.now() + timedelta(seconds=settings.LIMITS.refresh_token + 1)),
        pytest.raises(TokenExpired),
    ):
        tokens.rotate(who.pair.refresh)
    assert Device.objects.get(pk=who.device_id).revoked_at is None


def test_expired_access_token_is_refused_as_expired(somebody: Make) -> None:
    who = somebody()
    with (
        time_machine.travel(timezone.now() + timedelta(seconds=settings.LIMITS.access_token + 1)),
        pytest.raises(TokenExpired),
    ):
        tokens.verify_access(who.pair.access)


def test_disabled_user_cannot_use_or_refresh_tokens(somebody: Make, published: list[Event]) -> None:
    who = somebody()
    users.disable(who.id)
    with pytest.raises(devices.Revoked):
        tokens.verify_access(who.pair.access)
    with pytest.raises(tokens.WrongToken):
        tokens.rotate(who.pair.refresh)
    assert [o.close_device for o in published] == [who.device_id]


def _forged(token: str, kind: str) -> str:
    head, body, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False})
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    other = {**claims, "sub": "1"}
    return {
        "tampered claims": f"{head}.{jwt.encode(other, 'k' * 32).split('.')[1]}.{signature}",
        "alg none": f"{none}.{body}.",
        "another key": jwt.encode(claims, "another key, of at least 32 bytes"),
        "SECRET_KEY itself": jwt.encode(claims, settings.SECRET_KEY),
        "HS512": jwt.encode(claims, tokens._key().ljust(64, b"0"), algorithm="HS512"),
        "no device": jwt.encode({k: v for k, v in claims.items() if k != "did"}, tokens._key()),
        "no end": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, tokens._key()),
        "sub is a word": jwt.encode({**claims, "sub": "root"}, tokens._key()),
        "did is a list": jwt.encode({**claims, "did": [1]}, tokens._key()),
        "empty": "",
        "rubbish": "a.b.c",
        "not text": "\ud800",
        "NUL": token + "\0",
        "huge": token + "A" * 100_000,
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["tampered claims", "alg none", "another key", "SECRET_KEY itself", "HS512", "no device", "no end",
     "sub is a word", "did is a list", "empty", "rubbish", "not text", "NUL", "huge"],
)  # fmt: skip
def test_forged_access_token_is_refused(somebody: Make, kind: str) -> None:
    with pytest.raises(tokens.WrongToken):
        tokens.verify_access(_forged(somebody().pair.access, kind))


@pytest.mark.parametrize("refresh", ["", "unknown", "\0", "\ud800", "x" * 100_000])
def test_unknown_refresh_token_is_refused(refresh: str) -> None:
    with pytest.raises(tokens.WrongToken):
        tokens.rotate(refresh)


def test_signed_token_with_another_users_device_is_refused(somebody: Make) -> None:
    one, other = somebody(), somebody()
    claims = jwt.decode(one.pair.access, options={"verify_signature": False})
    crossed = jwt.encode({**claims, "did": str(other.device_id)}, tokens._key())
    with pytest.raises(devices.Revoked):
        tokens.verify_access(crossed)
