"""Adaptation of allauth's sign-up and sign-in pages: they use the rules of the API, and each session is a device."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse

from accounts import devices, known_clients, mails, registration, sessions, sign_in, users
from accounts.authentication import client_address, client_of
from accounts.forms import apply_rule
from accounts.models import User
from gateway.errors import RateLimited
from gateway.ids import DeviceId, UserId


def sign_up_is_open(request: HttpRequest) -> dict[str, bool]:
    """Tell templates whether people may make an account without an invitation."""
    return {"sign_up_is_open": settings.SIGN_UP in ("open", "domains")}


class Adapter(DefaultAccountAdapter):
    """allauth's hooks. Each one calls the rule that the API uses."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return whether the page is shown, with the invitation of its address."""
        return registration.is_open_to(request.GET.get("invitation", ""))

    def clean_email(self, email: str) -> str:
        return apply_rule(users.clean_email, email)

    def clean_password(self, password: str, user: Any = None) -> str:
        return apply_rule(lambda text: users.check_password(text, user or User()), password)

    def confirm_email(self, request: HttpRequest, email_address: Any) -> bool:
        """Mark an address as confirmed. Returns False if it belongs to another user by now."""
        if User.objects.filter(email=email_address.email).exclude(pk=email_address.user_id).exists():
            messages.error(request, users.EmailTaken().message)
            return False
        try:
            with transaction.atomic():
                confirmed: bool = super().confirm_email(request, email_address)
                if confirmed and User.objects.filter(pk=email_address.user_id, email=email_address.email).exists():
                    users.confirm(UserId(email_address.user_id))
        except IntegrityError:
            messages.error(request, users.EmailTaken().message)
            return False
        return confirmed

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        return User.objects.filter(email=email.casefold(), confirmed_at__isnull=False).exists()

    def save_user(self, request: HttpRequest, user: Any, form: Any, commit: bool = True) -> User:
        """Register the user of a sign-up form. Raises `forms.AlreadyRegistered` if the address has an account."""
        registered: User = form.register(request.GET.get("invitation", ""))
        return registered

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

    def pre_login(self, request: HttpRequest, user: Any, **more: Any) -> HttpResponse | None:
        """Record a confirmed address as allauth does: accounts are confirmed without its pages, too."""
        if user.email and user.confirmed_at is not None:
            with transaction.atomic():
                addresses = EmailAddress.objects.filter(email=user.email)
                addresses.exclude(user=user).delete()  # Somebody's further address; it is this account's by now.
                primary = not EmailAddress.objects.filter(user=user, primary=True).exists()
                EmailAddress.objects.update_or_create(
                    user=user,
                    email=user.email,
                    defaults={"verified": True},
                    create_defaults={"verified": True, "primary": primary},
                )
        answer: HttpResponse | None = super().pre_login(request, user, **more)
        return answer

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
