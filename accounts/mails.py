"""Mails to people about their accounts. All are sent here, within a request: their links name its host."""

import hashlib
import logging

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.core import context
from django.utils import timezone

from accounts.models import User
from gateway.limits import Charge, Window, charge_in_thread

logger = logging.getLogger(__name__)
# Anybody can ask for these mails to an address. Who asks too early gets none, and no refusal: an earlier link is valid.
CONFIRMATIONS = Window(rate=1 / 180, burst=1)
RESETS = Window(rate=5 / 3600, burst=5)


def send_confirmation(user: User) -> None:
    """Send the link that confirms the address of an account, at most one in 3 minutes."""
    if user.email and is_due("confirmation", user.email, CONFIRMATIONS):
        values = {"user": user, "email": user.email}
        address, _ = EmailAddress.objects.get_or_create(**values, defaults={"primary": True})
        address.send_confirmation(context.request, signup=True)


def send_already_registered(email: str) -> None:
    """Tell the owner of an account that somebody tried to sign up with their address; at most one in 3 minutes."""
    if is_due("confirmation", email, CONFIRMATIONS):
        get_adapter().send_account_already_exists_mail(email)


def send_new_sign_in(user: User, device_name: str) -> None:
    """Tell the owner of an account of a sign-in from a browser and a network that were unknown before.

    A mail server that fails is logged: it must keep nobody from signing in.
    """
    if user.email:
        about = {"user": user, "device": device_name, "at": timezone.now()}
        try:
            get_adapter().send_mail("account/email/new_sign_in", user.email, about)
        except OSError as fault:  # smtplib's errors are OSErrors, too
            logger.warning("mail: new sign-in not reported (%s)", type(fault).__name__)


def is_due(kind: str, email: str, window: Window) -> bool:
    """Charge a mail to its address. Returns False if its owner has had enough of this kind."""
    address = hashlib.sha256(email.casefold().encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return charge_in_thread([Charge(f"ratelimit:{address}:{kind}", (window,))])[0] == 0
