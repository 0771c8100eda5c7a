"""The forms and pages of allauth that Parley changes: sign-up, password reset, and the user's e-mail addresses."""

from typing import Any

from allauth.account.forms import AddEmailForm as AllauthAddEmailForm
from allauth.account.forms import ResetPasswordForm as AllauthResetPasswordForm
from allauth.account.forms import ResetPasswordKeyForm as AllauthResetPasswordKeyForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.account.views import EmailView as AllauthEmailView
from allauth.core import context
from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts import mails, registration, users
from accounts.models import User
from gateway.errors import InvalidPayload, Refused
from gateway.ids import UserId


class AlreadyRegistered(Exception):
    """The address of a sign-up form has an account, which the answer must not reveal."""


class SignupForm(AllauthSignupForm):
    """The sign-up form: display name, e-mail address and password."""

    display_name = forms.CharField(
        label="Your name",
        max_length=settings.LIMITS.max_name_chars,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order = ("display_name", "email", "password1")

    def clean_display_name(self) -> str:
        return apply_rule(users.clean_name, self.cleaned_data["display_name"])

    def clean(self) -> Any:
        """Check that this address may sign up with the invitation in the page's address."""
        cleaned = super().clean()
        if email := self.cleaned_data.get("email"):
            try:
                registration.check_sign_up(email, context.request.GET.get("invitation", ""))
            except Refused as refusal:
                raise forms.ValidationError(refusal.message) from None
        return cleaned

    def validate_unique_email(self, value: str) -> str:
        """Leave a taken address to `try_save` where it must not be revealed."""
        return value if settings.CONFIRM_EMAIL else str(super().validate_unique_email(value))

    def register(self, invitation_token: str) -> User:
        """Create the account. Raises AlreadyRegistered, and the refusals of `registration.register`."""
        fields = self.cleaned_data
        user = registration.register(
            display_name=fields["display_name"],
            email=fields["email"],
            password=fields["password1"],
            invitation_token=invitation_token,
        )
        if user is None:
            raise AlreadyRegistered
        return user

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Register. A taken address gives the page of a new one; without mails, and for a double click, sign-in."""
        try:
            saved: tuple[User | None, HttpResponse | None] = super().try_save(request)
        except AlreadyRegistered:
            self.account_already_exists = True  # allauth then tells the owner, and answers as for a new account.
            saved = super().try_save(request)
        except users.EmailTaken:
            return None, redirect("account_login")
        except Refused as refusal:  # An invitation that somebody else has used meanwhile.
            messages.error(request, refusal.message)
            return None, redirect("account_login")
        return saved


class AddEmailForm(AllauthAddEmailForm):
    """The form that adds an e-mail address. It refuses the address of another user, unless a mail must prove it first.

    There the answer must not reveal the account: only who reads the mail can find that the address is taken.
    """

    def clean_email(self) -> str:
        email: str = super().clean_email()
        if not settings.CONFIRM_EMAIL and User.objects.filter(email=email).exists():
            raise forms.ValidationError(users.EmailTaken().message)
        return email


class ResetPasswordForm(AllauthResetPasswordForm):
    """The form that asks for a reset link. Only the address that an account signs in with gets one."""

    def clean_email(self) -> str:
        email: str = super().clean_email()
        self.users = list(User.objects.filter(email=email.strip().casefold(), is_active=True))
        return email

    def save(self, request: HttpRequest, **more: Any) -> str:
        """Send the link. Above 5 an hour there is no further one: strangers could fill a mailbox with them."""
        email: str = self.cleaned_data["email"]
        return str(super().save(request, **more)) if mails.is_due("reset", email, mails.RESETS) else email


class ResetPasswordKeyForm(AllauthResetPasswordKeyForm):
    """The form behind a reset link. Its mail has reached the address, so the address is confirmed."""

    def save(self) -> None:
        with transaction.atomic():
            super().save()
            users.confirm(UserId(self.user.pk))
            self.user.refresh_from_db(fields=["confirmed_at"])


class EmailView(AllauthEmailView):
    """The page of a user's e-mail addresses. An address taken meanwhile is refused, and nothing changes.

    Those of staff are a superuser's to change, in the admin: who has a staff member's mail could reset their password.
    """

    def post(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        if request.user.is_staff and not request.user.is_superuser:
            messages.error(request, "A superuser changes the e-mail addresses of staff.")
            return redirect("account_email")
        try:
            with transaction.atomic():
                answer: HttpResponse = super().post(request, *args, **named)
        except IntegrityError:
            messages.error(request, users.EmailTaken().message)
            return redirect("account_email")
        return answer


def apply_rule(rule: Any, text: str) -> str:
    """Return what a rule makes of a form's text. Raises ValidationError with the message of its refusal."""
    try:
        cleaned: str = rule(text)
    except InvalidPayload as refusal:
        raise forms.ValidationError(refusal.message) from None
    return cleaned
