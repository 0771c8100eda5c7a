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
    gone, living, old, here = somebody(), somebody(), Client(), Client()
    for browser, who in ((old, gone), (here, living)):
        browser.force_login(who.user)
    RefreshToken.objects.filter(device=gone.device).update(expires_at=past)
    Session.objects.filter(session_key=old.session.session_key).update(expire_date=past)
    ended = old.cookies["parley_session"].value

    assert expiry.sweep() >= 2

    assert not RefreshToken.objects.filter(device=gone.device).exists()
    assert not Session.objects.filter(session_key=ended).exists()
    assert Session.objects.filter(session_key=here.session.session_key).exists()
    assert tokens.rotate(living.pair.refresh).device_id == living.device_id
    with pytest.raises(tokens.WrongToken):
        tokens.rotate(gone.pair.refresh)
    assert Device.objects.get(pk=gone.device_id).revoked_at is None, "a device may sign in again"
