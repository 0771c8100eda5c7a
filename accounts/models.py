"""The tables of accounts: columns and constraints. Rules are in the other modules of the app."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now

from accounts.ids import NEW_ID


class UserManager(BaseUserManager["User"]):
    """Functions for Django's tools: `createsuperuser`, look-up by e-mail. Users register through `accounts.users`."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().casefold())

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        name = fields.pop("display_name", "") or email.partition("@")[0]
        user = self.model(
            email=email.strip().casefold(),
            display_name=name,
            name_key=name.casefold(),
            is_staff=True,
            is_superuser=True,
            **fields,
        )
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """A user (F6). `name_key` is the display name folded for search by `accounts.users.name_key`."""

    id = models.BigIntegerField(primary_key=True, db_default=NEW_ID, editable=False)
    email = models.EmailField(max_length=254, null=True, blank=True)
    phone = models.CharField(max_length=16, null=True, blank=True)
    display_name = models.CharField(max_length=200)
    name_key = models.CharField(max_length=200, editable=False)
    avatar_url = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    is_active = models.BooleanField(default=True, db_default=True)
    is_staff = models.BooleanField(default=False, db_default=False)
    # When `email` was found to be the user's. Until then the account cannot sign in and is found by nobody.
    confirmed_at = models.DateTimeField(null=True, blank=True, db_default=Now(), editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["email"], name="user_email_unique"),
            models.UniqueConstraint(fields=["phone"], name="user_phone_unique"),
            models.CheckConstraint(
                condition=Q(email__isnull=False) | Q(phone__isnull=False), name="user_has_email_or_phone"
            ),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_folded"),
            models.CheckConstraint(condition=Q(phone__regex=r"^\+[1-9][0-9]{6,14}$"), name="user_phone_e164"),
        ]
        indexes = [models.Index(fields=["name_key", "id"], name="user_by_name")]

    def __str__(self) -> str:
        return self.display_name

    def get_full_name(self) -> str:
        return self.display_name

    def get_short_name(self) -> str:
        return self.display_name


class Invitation(models.Model):
    """An invitation to sign up. Its link bears the signed id (`accounts.invitations`); `email` binds it to an address."""

    id = models.BigIntegerField(primary_key=True, db_default=NEW_ID, editable=False)
    email = models.EmailField(max_length=254, null=True, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    max_uses = models.PositiveIntegerField(default=1, db_default=1)
    uses = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(uses__lte=F("max_uses")), name="invitation_uses"),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="invitation_email_folded"),
        ]

    def __str__(self) -> str:
        return f"invitation {self.pk}"


class Device(models.Model):
    """One installation or browser session of a user: it signs in, is revoked, and has its own delivered and read marks.

    `family` identifies its chain of refresh tokens; `session_key` is set for a web session.
    """

    id = models.BigIntegerField(primary_key=True, db_default=NEW_ID, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="devices", db_index=False)
    name = models.CharField(max_length=200, blank=True, default="")
    platform = models.CharField(max_length=50, blank=True, default="")
    family = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_seen_at = models.DateTimeField(db_default=Now())
    # The last use that others may see: not written while the user appears offline (F153). `presence` writes it.
    last_shown_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # A keyed hash of the network of the last sign-in (`accounts.known_clients`); None before the first.
    network_hash = models.BinaryField(max_length=16, null=True, blank=True, editable=False)
    session_key = models.CharField(max_length=40, null=True, blank=True)
    privacy_overrides = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["family"], name="device_family_unique"),
            models.UniqueConstraint(fields=["session_key"], name="device_session_unique"),
        ]
        indexes = [models.Index(fields=["user", "id"], name="device_by_user")]

    def __str__(self) -> str:
        return self.name or f"device {self.pk}"


class RefreshToken(models.Model):
    """The SHA-256 hash of a refresh token. A used one stays until it expires, so that its reuse is detected."""

    id = models.BigIntegerField(primary_key=True, db_default=NEW_ID, editable=False)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="refresh_tokens")
    token_hash = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token_hash"], name="refresh_token_hash_unique")]

    def __str__(self) -> str:
        return f"refresh token {self.pk}"


class Contact(models.Model):
    """`contact` is on the list of `user` (F212). Two rows, one each way, are a mutual contact."""

    id = models.BigIntegerField(primary_key=True, db_default=NEW_ID, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="contacts", db_index=False)
    contact = models.ForeignKey(User, on_delete=models.CASCADE, related_name="contact_of", db_index=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "contact"], name="contact_unique"),
            models.CheckConstraint(condition=~Q(user=F("contact")), name="contact_is_another"),
        ]
        indexes = [models.Index(fields=["contact", "user"], name="contact_by_contact")]

    def __str__(self) -> str:
        return f"{self.user_id} → {self.contact_id}"


class Block(models.Model):
    """`blocker` receives nothing from `blocked` (F204). Only the blocker can see it (F230)."""

    id = models.BigIntegerField(primary_key=True, db_default=NEW_ID, editable=False)
    blocker = models.ForeignKey(User, on_delete=models.CASCADE, related_name="blocks", db_index=False)
    blocked = models.ForeignKey(User, on_delete=models.CASCADE, related_name="blocked_by", db_index=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["blocker", "blocked"], name="block_unique"),
            models.CheckConstraint(condition=~Q(blocker=F("blocked")), name="block_is_another"),
        ]
        # The send path looks for the users that block the sender.
        indexes = [models.Index(fields=["blocked", "blocker"], name="block_by_blocked")]

    def __str__(self) -> str:
        return f"{self.blocker_id} blocks {self.blocked_id}"


class Privacy(models.Model):
    """Privacy settings of a user (F228): which of their data others may see. Without a row the defaults apply."""

    class WhoCanMessage(models.TextChoices):
        EVERYONE = "everyone", "Everyone"
        CONTACTS = "contacts", "Contacts"

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="privacy")
    send_read_receipts = models.BooleanField(default=True, db_default=True)
    show_read_receipts = models.BooleanField(default=True, db_default=True)
    show_last_seen = models.BooleanField(default=True, db_default=True)
    show_online_status = models.BooleanField(default=True, db_default=True)
    show_typing = models.BooleanField(default=True, db_default=True)
    who_can_message = models.CharField(
        max_length=20,
        choices=WhoCanMessage.choices,
        default=WhoCanMessage.EVERYONE,
        db_default=WhoCanMessage.EVERYONE.value,
    )

    class Meta:
        verbose_name_plural = "privacy settings"
        constraints = [
            models.CheckConstraint(
                condition=Q(who_can_message__in=["everyone", "contacts"]), name="privacy_who_can_message"
            )
        ]

    def __str__(self) -> str:
        return f"privacy of {self.user_id}"
