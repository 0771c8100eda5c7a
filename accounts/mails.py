"""Mails to people about their accounts. All are sent here, within a request: their links name its host."""

from allauth.account.adapter import get_adapter
from django.utils import timezone

from accounts.models import User


def send_new_sign_in(user: User, device_name: str) -> None:
    """Tell the owner of an account of a sign-in from a browser and a network that were unknown before."""
    if user.email:
        about = {"user": user, "device": device_name, "at": timezone.now()}
        get_adapter().send_mail("account/email/new_sign_in", user.email, about)
