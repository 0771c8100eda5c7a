"""Removal of expired refresh tokens and web sessions.

The sweep keeps the refresh tokens of a user under a hold. A web session has no column for its user, and its data is of
no use after its end, so it is removed in any case.
"""

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from accounts.models import RefreshToken
from holds import holds


def sweep() -> int:
    """Remove expired refresh tokens and web sessions; return how many.

    A rotation removes the expired tokens of its own device. The sweep finds those of devices that never came back.
    """
    now = timezone.now()
    with transaction.atomic():
        holds.wait_for_new_holds()
        due = RefreshToken.objects.filter(expires_at__lte=now).exclude(holds.covering(user="device__user_id"))
        tokens, _ = due.delete()
    sessions, _ = Session.objects.filter(expire_date__lte=now).delete()
    return tokens + sessions
