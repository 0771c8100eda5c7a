"""Refresh tokens and web sessions whose time is over are removed: they open nothing any more.

The sweep leaves the refresh tokens of a user under a hold. A web session names nobody in a column, and its data is of no use to
anybody after its end, so it goes in any case.
"""

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from accounts.models import RefreshToken
from holds import holds


def sweep() -> int:
    """Remove expired refresh tokens and web sessions; returns how many.

    A rotation removes those of its own device; what is left is of devices that never came back.
    """
    now = timezone.now()
    with transaction.atomic():
        holds.wait_for_new_holds()
        due = RefreshToken.objects.filter(expires_at__lte=now).exclude(holds.covering(user="device__user_id"))
        tokens, _ = due.delete()
    sessions, _ = Session.objects.filter(expire_date__lte=now).delete()
    return tokens + sessions
