"""Registration and profile of users. Owns the rules for names, e-mail addresses and passwords (F6)."""

import unicodedata
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import devices
from accounts.models import User
from gateway.errors import InvalidPayload, NotFound
from gateway.ids import UserId
from gateway.limits import enforce
from outbox.events import UserChanged, UserDisabled
from outbox.outbox import record

DAY = 86400
MAX_EMAIL_CHARS = 254
MAX_PASSWORD_CHARS = 1000
MAX_AVATAR_CHARS = 500
# Direction overrides can make one name look like another.
_DECEPTIVE = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class EmailTaken(InvalidPayload):
    """There is an account with this e-mail address: sign in."""


class PhoneTaken(InvalidPayload):
    """There is an account with this phone number: sign in."""


class WeakPassword(InvalidPayload):
    """This password is too easy to guess."""


def register(
    *,
    display_name: str,
    password: str | None,
    email: str | None = None,
    phone: str | None = None,
    confirmed: bool = True,
) -> User:
    """Create an account. With `password=None` nobody can sign in with a password; without `confirmed` nobody at all yet.

    Raises InvalidPayload with the invalid field, WeakPassword, EmailTaken or PhoneTaken. EmailTaken comes last and after
    the same work as a success, so that neither an invalid password nor the time reveals an account.
    """
    user = User(email=email and clean_email(email), phone=phone or None)
    user.confirmed_at = timezone.now() if confirmed else None
    user.display_name = clean_name(display_name)
    user.name_key = name_key(user.display_name)
    if not (user.email or user.phone):
        raise InvalidPayload("an e-mail address is needed", field="email")
    if password is not None:
        check_password(password, user)
    user.set_password(password)
    _insert(user)
    return user


def _insert(user: User) -> None:
    refusals = {
        "user_email_unique": EmailTaken(field="email"),
        "user_phone_unique": PhoneTaken(field="phone"),
        "user_phone_e164": InvalidPayload("write it as +4912345678", field="phone"),
    }
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as fault:
        constraint = getattr(getattr(fault.__cause__, "diag", None), "constraint_name", None)
        if constraint in refusals:
            raise refusals[constraint] from None
        raise


def get(user_id: UserId) -> User:
    """Return a user, active or disabled. Raises NotFound."""
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise NotFound
    return user


def change_profile(user_id: UserId, *, display_name: str | None = None, avatar_url: str | None = None) -> User:
    """Change the given fields of a profile and return the user.

    Raises InvalidPayload with the invalid field; RateLimited above `profile_changes_per_day` (F295).
    """
    changes: dict[str, str] = {}
    if display_name is not None:
        changes["display_name"] = clean_name(display_name)
        changes["name_key"] = name_key(changes["display_name"])
    if avatar_url is not None:
        changes["avatar_url"] = clean_avatar_url(avatar_url)
    if not changes:
        raise InvalidPayload("displayName or avatarUrl: nothing to change was given")
    limit = settings.LIMITS.profile_changes_per_day
    enforce(f"{user_id}:profile", limit / DAY, limit)
    with transaction.atomic():
        User.objects.filter(pk=user_id).update(**changes)
        record(UserChanged(user_id=user_id, fields=[name for name in changes if name != "name_key"]))
    return get(user_id)


def disable(user_id: UserId) -> None:
    """Disable an account: sign out all devices and refuse new sign-ins. The user's messages stay."""
    with transaction.atomic():
        if User.objects.filter(pk=user_id, is_active=True).update(is_active=False):
            record(UserDisabled(user_id=user_id))
    devices.sign_out_all(user_id)


def enable(user_id: UserId) -> None:
    """Enable a disabled account; the user must sign in again."""
    with transaction.atomic():
        if User.objects.filter(pk=user_id, is_active=False).update(is_active=True):
            record(UserChanged(user_id=user_id, fields=["is_active"]))


def confirm(user_id: UserId) -> None:
    """Record that the user's e-mail address is theirs. The account can then sign in and be found."""
    with transaction.atomic():
        if User.objects.filter(pk=user_id, confirmed_at=None).update(confirmed_at=timezone.now()):
            record(UserChanged(user_id=user_id, fields=["confirmed_at"]))


def clean_email(text: str) -> str:
    """Return an e-mail address as it is stored, in lower case. Raises InvalidPayload."""
    email = text.strip().casefold()
    try:
        if not (email.isascii() and email.isprintable() and len(email) <= MAX_EMAIL_CHARS):
            raise ValidationError("not an address of plain ASCII")
        validate_email(email)
    except ValidationError:
        raise InvalidPayload("this is no e-mail address", field="email") from None
    return email


def clean_name(text: str, field: str = "displayName") -> str:
    """Return a name as it is stored: in NFC, with single spaces.

    Raises InvalidPayload for an empty name, one above `max_name_chars` characters, and one with control characters or
    direction overrides.
    """
    limit = settings.LIMITS.max_name_chars
    name = " ".join(unicodedata.normalize("NFC", text[: 4 * limit]).split())
    if len(name) > limit or len(text) > 4 * limit:
        raise InvalidPayload(f"at most {limit} characters", field=field)
    if any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") or char in _DECEPTIVE for char in name):
        raise InvalidPayload("a character in it cannot be shown", field=field)
    if all(unicodedata.category(char)[0] in "CZM" for char in name):
        raise InvalidPayload("a name is needed", field=field)
    return name


def clean_avatar_url(text: str) -> str:
    """Return an avatar's URL: https, a path of this installation, or empty for none. Raises InvalidPayload."""
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("invalid:")
    local = text.startswith("/") and not parts.netloc and "\\" not in text
    valid = local or (parts.scheme == "https" and parts.hostname is not None)
    if text and not (valid and text.isascii() and text.isprintable() and " " not in text):
        raise InvalidPayload("an https address, or a path of this site", field="avatarUrl")
    if len(text) > MAX_AVATAR_CHARS:
        raise InvalidPayload(f"at most {MAX_AVATAR_CHARS} characters", field="avatarUrl")
    return text


def check_password(password: str, user: User) -> str:
    """Return the password. Raises WeakPassword if it is too short, too common or similar to the user's own data."""
    if len(password) > MAX_PASSWORD_CHARS or any("\ud800" <= char <= "\udfff" for char in password):
        raise WeakPassword(f"at most {MAX_PASSWORD_CHARS} characters of text", field="password")
    try:
        validate_password(password, user)
    except ValidationError as fault:
        raise WeakPassword(" ".join(fault.messages), field="password") from None
    return password


def name_key(name: str) -> str:
    """Return a name folded for search: lower case without accents ("zoe" finds "Zoë")."""
    base = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", base.casefold())[:200]
