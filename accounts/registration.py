"""Sign-up by strangers: PARLEY_SIGN_UP decides which of them may make an account, and when its address is confirmed.

Pages and API both call `register`. It tells nobody whether an address has an account: the answer and the work are the
same, and the account's owner gets a mail. Only where no mail can prove an address is EmailTaken raised.
"""

from django.conf import settings
from django.db import transaction

from accounts import invitations, users
from accounts.models import Invitation, User
from gateway.errors import Forbidden


class SignUpClosed(Forbidden):
    """Nobody makes an account here without an invitation."""


class InvalidInvitation(Forbidden):
    """This invitation has ended, was used, or is for another address."""


def is_open_to(invitation_token: str) -> bool:
    """Return whether the sign-up page is shown: sign-up is open to some address, or the invitation can be used."""
    if settings.SIGN_UP == "closed":
        return False
    return settings.SIGN_UP in ("open", "domains") or invitations.find(invitation_token) is not None


def check_sign_up(address: str, invitation_token: str, *, lock: bool = False) -> Invitation | None:
    """Return the invitation of somebody who may sign up, or None if they need none; with `lock`, as `invitations.find`.

    `address` is as `users.clean_email` returns it. Raises SignUpClosed, or InvalidInvitation for one that does not help.
    """
    invitation = invitations.find(invitation_token, lock=lock) if invitation_token else None
    if settings.SIGN_UP == "closed":
        raise SignUpClosed
    if invitation is not None and invitation.email in (None, address):
        return invitation
    if settings.SIGN_UP == "open":
        return None
    if settings.SIGN_UP == "domains" and address.rpartition("@")[2] in settings.SIGN_UP_DOMAINS:
        return None
    raise InvalidInvitation if invitation_token else SignUpClosed


def register(*, display_name: str, email: str, password: str, invitation_token: str = "") -> User | None:
    """Create an account, or return None if the address has one: its owner must then be told by mail.

    The account is confirmed at once in the demo, by an invitation to this address, and by any invitation if no mail can
    be sent. Raises the refusals of `users.register` (EmailTaken only for such an account) and of `check_sign_up`.
    """
    with transaction.atomic():
        address = users.clean_email(email)
        invitation = check_sign_up(address, invitation_token, lock=True)
        confirmed = not settings.CONFIRM_EMAIL or (
            invitation is not None and (invitation.email == address or not settings.MAIL)
        )
        try:
            user = users.register(display_name=display_name, email=address, password=password, confirmed=confirmed)
        except users.EmailTaken:
            if confirmed:
                raise
            user = None
        if invitation is not None:
            invitations.use(invitation)  # Also for a taken address: a link that is left over would reveal it.
        return user
