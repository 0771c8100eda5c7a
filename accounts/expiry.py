"""What opens nothing any more is removed: refresh tokens and web sessions whose time is over."""

from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.models import RefreshToken


def sweep() -> int:
    """Remove expired refresh tokens and web sessions; returns how many.

    A rotation removes those of its own device; what is left is of devices that never came back.
    """
    now = timezone.now()
    tokens, _ = RefreshToken.objects.filter(expires_at__lte=now).delete()
    sessions, _ = Session.objects.filter(expire_date__lte=now).delete()
    return tokens + sessions
