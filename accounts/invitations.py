"""Invitations to sign up. A link bears the signed id of its row: nothing secret is stored, and a link can be shown again.

The row limits the link: it expires, is used `max_uses` times, and is revoked at any time.
"""

from datetime import timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from accounts.models import Invitation
from gateway.ids import UserId

EXPIRES_AFTER = timedelta(days=7)
MOST_DAYS = 90
_signer = signing.Signer(salt="parley invitation 1")


def create(
    *, email: str | None = None, created_by: UserId | None = None, max_uses: int = 1, days: float = EXPIRES_AFTER.days
) -> Invitation:
    """Create an invitation for `max_uses` accounts; with `email`, which is as `users.clean_email` returns it, for one."""
    return Invitation.objects.create(
        email=email,
        created_by_id=created_by,
        max_uses=1 if email else max_uses,
        expires_at=timezone.now() + timedelta(days=days),
    )


def token_of(invitation: Invitation) -> str:
    """Return the text that stands for an invitation in its link and in `POST /auth/register`."""
    return _signer.sign(str(invitation.pk))


def link_to(invitation: Invitation) -> str:
    """Return the address of the sign-up page for an invitation, at this installation's first host name (`settings.SITE`)."""
    query = {"invitation": token_of(invitation), **({"email": invitation.email} if invitation.email else {})}
    return f"{settings.SITE}{reverse('account_signup')}?{urlencode(query)}"


def find(token: str, *, lock: bool = False) -> Invitation | None:
    """Return the invitation of a token if it can still be used; with `lock`, locked until the end of the transaction."""
    try:
        id_ = int(_signer.unsign(token))
    except (signing.BadSignature, ValueError):
        return None
    usable = Invitation.objects.filter(pk=id_, revoked_at=None, expires_at__gt=timezone.now(), uses__lt=F("max_uses"))
    return (usable.select_for_update(no_key=True) if lock else usable).first()


def use(invitation: Invitation) -> None:
    """Count a use of a locked invitation."""
    Invitation.objects.filter(pk=invitation.pk).update(uses=F("uses") + 1)


def revoke(invitation_id: int) -> None:
    """End an invitation. Accounts that were made with it stay."""
    Invitation.objects.filter(pk=invitation_id, revoked_at=None).update(revoked_at=timezone.now())
