"""Removal of expired refresh tokens and web sessions."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts import expiry, tokens
from accounts.models import Device, RefreshToken
from tests.accounts.conftest import Somebody

Make = Callable[..., Somebody]


def test_sweep_removes_expired_tokens_and_web_sessions_and_keeps_live_ones(somebody: Make) -> None:
    past = timezone.now() - timedelta(seconds=1)
    expired, active, stale, fresh = somebody(), somebody(), Client(), Client()
    for browser, who in ((stale, expired), (fresh, active)):
        browser.force_login(who.user)
    RefreshToken.objects.filter(device=expired.device).update(expires_at=past)
    Session.objects.filter(session_key=stale.session.session_key).update(expire_date=past)
    ended = stale.cookies["parley_session"].value

    assert expiry.sweep() >= 2

    assert not RefreshToken.objects.filter(device=expired.device).exists()
    assert not Session.objects.filter(session_key=ended).exists()
    assert Session.objects.filter(session_key=fresh.session.session_key).exists()
    assert tokens.rotate(active.pair.refresh).device_id == active.device_id
    with pytest.raises(tokens.WrongToken):
        tokens.rotate(expired.pair.refresh)
    assert Device.objects.get(pk=expired.device_id).revoked_at is None, "a device may sign in again"
