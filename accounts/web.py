"""Adaptation of allauth's sign-up and sign-in pages: they use the rules of the API, and each session is a device."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import AddEmailForm as AllauthAddEmailForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.account.views import EmailView as AllauthEmailView
from allauth.core import context
from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts import devices, invitations, known_clients, mails, sessions, sign_in, users
from accounts.authentication import client_address, client_of
from accounts.models import User
from gateway.errors import Forbidden, InvalidPayload, RateLimited
from gateway.ids import DeviceId, UserId


class SignupForm(AllauthSignupForm):
    """The sign-up form: display name, e-mail address and password."""

    display_name = forms.CharField(
        label="Your name",
        max_length=settings.LIMITS.max_name_chars,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order = ("display_name", "email", "password1")

    def clean_display_name(self) -> str:
        return _apply_rule(users.clean_name, self.cleaned_data["display_name"])

    def clean(self) -> Any:
        """Check the invitation of the page's address."""
        cleaned = super().clean()
        request = context.request
        invitation = request.GET.get("invitation", "") if request else ""
        try:
            invitations.check_sign_up(self.cleaned_data.get("email") or "", invitation)
        except Forbidden as refusal:
            raise forms.ValidationError(refusal.message) from None
        return cleaned

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Register. If the same request came twice (a double click), redirect the second to the sign-in page."""
        try:
            saved: tuple[User | None, HttpResponse | None] = super().try_save(request)
        except users.EmailTaken:
            return None, redirect("account_login")
        return saved


class AddEmailForm(AllauthAddEmailForm):
    """The form that adds an e-mail address. It refuses the address of another user."""

    def clean_email(self) -> str:
        email: str = super().clean_email()
        if User.objects.filter(email=email).exists():
            raise forms.ValidationError(users.EmailTaken().message)
        return email


class EmailView(AllauthEmailView):
    """The page of a user's e-mail addresses. An address taken meanwhile is refused, and nothing changes."""

    def post(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                answer: HttpResponse = super().post(request, *args, **named)
        except IntegrityError:
            messages.error(request, users.EmailTaken().message)
            return redirect("account_email")
        return answer


def sign_up_is_open(request: HttpRequest) -> dict[str, bool]:
    """Tell templates whether everybody may create an account."""
    return {"sign_up_is_open": settings.SIGN_UP == invitations.OPEN}


class Adapter(DefaultAccountAdapter):
    """allauth's hooks. Each one calls the rule that the API uses."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return invitations.may_see_form(request.GET.get("invitation", ""))

    def clean_email(self, email: str) -> str:
        return _apply_rule(users.clean_email, email)

    def clean_password(self, password: str, user: Any = None) -> str:
        return _apply_rule(lambda text: users.check_password(text, user or User()), password)

    def confirm_email(self, request: HttpRequest, email_address: Any) -> bool:
        """Mark an address as confirmed. Returns False if it belongs to another user by now."""
        try:
            with transaction.atomic():
                confirmed: bool = super().confirm_email(request, email_address)
        except IntegrityError:
            messages.error(request, users.EmailTaken().message)
            return False
        return confirmed

    def save_user(self, request: HttpRequest, user: Any, form: Any, commit: bool = True) -> User:
        """Register the user of a sign-up form."""
        fields = form.cleaned_data
        return users.register(display_name=fields["display_name"], email=fields["email"], password=fields["password1"])

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Return the user with this e-mail address and password, or None; limited as in `accounts.sign_in`."""
        try:
            return sign_in.authenticate(
                email=credentials.get("email") or "",
                password=credentials.get("password") or "",
                client=client_of(request),
            )
        except sign_in.WrongCredentials:
            return None
        except RateLimited:
            raise self.validation_error("too_many_login_attempts") from None

    def login(self, request: HttpRequest, user: Any) -> None:
        """Sign in and create the session's device. A sign-in from an unknown place is reported to the owner."""
        client = client_of(request)
        unusual = known_clients.is_unusual(user, client)
        super().login(request, user)
        device = sessions.get_or_create_device(
            request.session,
            user,
            user_agent=request.headers.get("User-Agent", ""),
            network_hash=client.network_hash,
        )
        if unusual:
            mails.send_new_sign_in(user, device.name)

    def post_login(self, request: HttpRequest, user: Any, **more: Any) -> HttpResponse:
        """Make this browser known to the account."""
        answer: HttpResponse = super().post_login(request, user, **more)
        known_clients.remember_browser(answer, user, client_of(request))
        return answer

    def logout(self, request: HttpRequest) -> None:
        """Sign out and close the session's sockets."""
        user_id, device_id = request.user.pk, request.session.get(sessions.DEVICE_KEY)
        super().logout(request)
        if user_id is not None and device_id is not None:
            devices.sign_out(UserId(user_id), DeviceId(device_id))

    def set_password(self, user: Any, password: str) -> None:
        """Set the password and sign out every other device, because somebody else may know the old one."""
        super().set_password(user, password)
        own_session = self.request is not None and self.request.user.pk == user.pk
        devices.sign_out_all(
            UserId(user.pk), keep=self.request.session.get(sessions.DEVICE_KEY) if own_session else None
        )

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)


def _apply_rule(rule: Any, text: str) -> str:
    try:
        cleaned: str = rule(text)
    except InvalidPayload as refusal:
        raise forms.ValidationError(refusal.message) from None
    return cleaned
