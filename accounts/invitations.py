"""Who may create an account (`PARLEY_SIGN_UP`), and the signed invitations that let people in.

An invitation is a text that this installation has signed: it is stored nowhere, lets in whoever has it until it expires,
and ends with the secret key. One for an e-mail address lets in that address alone.
"""

from datetime import timedelta
from typing import NamedTuple

import msgspec
from django.conf import settings
from django.core import signing
from django.utils import timezone

from gateway.errors import Forbidden

SALT = "parley.invitation"
DAYS, MOST_DAYS = 7, 90
# What the settings may be.
OPEN, INVITE, CLOSED = "open", "invite", "closed"


class SignUpClosed(Forbidden):
    """New accounts are not open on this server."""


class InvalidInvitation(Forbidden):
    """This invitation has expired, is for another address, or was not made here."""


class Invitation(NamedTuple):
    """The content of an invitation: an e-mail address, empty for anybody's, and the Unix time of its end."""

    email: str
    until: int


def invite(email: str = "", *, days: int = DAYS) -> str:
    """Return a new invitation. Raises ValueError unless `days` is from 1 to MOST_DAYS."""
    if not 1 <= days <= MOST_DAYS:
        raise ValueError(f"1 to {MOST_DAYS} days")
    until = int((timezone.now() + timedelta(days=days)).timestamp())
    return signing.dumps(Invitation(email.strip().casefold(), until), salt=SALT)


def check_sign_up(email: str, invitation: str) -> None:
    """Raise SignUpClosed or InvalidInvitation unless an account may be created with this address and invitation."""
    if settings.SIGN_UP == OPEN:
        return
    if settings.SIGN_UP == CLOSED or not invitation:
        raise SignUpClosed
    invited = _read(invitation)
    if invited is None or invited.email not in ("", email.strip().casefold()):
        raise InvalidInvitation


def may_see_form(invitation: str) -> bool:
    """Return whether the sign-up page shows its form: to everybody, or with an invitation."""
    return settings.SIGN_UP == OPEN or (settings.SIGN_UP == INVITE and _read(invitation) is not None)


def _read(invitation: str) -> Invitation | None:
    """Return the content of an invitation, None for one that is not ours or over."""
    try:
        invited = msgspec.convert(signing.loads(invitation, salt=SALT), Invitation)
    except (signing.BadSignature, msgspec.ValidationError):
        return None
    return invited if invited.until > timezone.now().timestamp() else None
