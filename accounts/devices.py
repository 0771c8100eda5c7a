"""Devices and their sign-out. Every credential is checked against the revocation of its device."""

from datetime import timedelta
from importlib import import_module

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.models import Device, RefreshToken
from gateway import publish
from gateway.errors import NotFound, Unauthorized
from gateway.ids import DeviceId, UserId
from outbox.events import DeviceSignedOut
from outbox.outbox import record

MAX_NAME_CHARS = 200
# `last_seen_at` is only displayed: a more exact time would cost a write for each request.
TOUCH_AFTER = timedelta(minutes=5)
CLOSE_CODE = 4401


class Revoked(Unauthorized):
    """This device has been signed out: sign in again."""


def add(user_id: UserId, *, name: str = "", platform: str = "", network_hash: bytes | None = None) -> Device:
    """Create a device for a user after a sign-in. The name is shown in the list of sessions.

    `network_hash` is that of the client (`accounts.known_clients.Client`).
    """
    return Device.objects.create(user_id=user_id, name=clean_name(name), platform=platform, network_hash=network_hash)


def sign_in(
    user_id: UserId,
    *,
    device_id: DeviceId | None,
    name: str = "",
    platform: str = "",
    network_hash: bytes | None = None,
) -> Device:
    """Return the device of a sign-in: the one with `device_id` if it is the user's and not revoked, or a new one.

    A device that signs in again loses its refresh tokens. Its row stays locked until the end of the transaction, so
    that a concurrent refresh becomes void too.
    """
    device = None
    if device_id is not None:
        usable = Device.objects.filter(pk=device_id, user_id=user_id, revoked_at=None)
        device = usable.select_for_update(no_key=True).first()
    if device is None:
        return add(user_id, name=name, platform=platform, network_hash=network_hash)
    RefreshToken.objects.filter(device=device).delete()
    Device.objects.filter(pk=device.pk).update(network_hash=network_hash)
    return device


def get_active(user_id: UserId, device_id: DeviceId) -> Device:
    """Return a device with its user. Raises Revoked unless it is the user's, signed in, and the user is active."""
    device = Device.objects.select_related("user").filter(pk=device_id, user_id=user_id).first()
    if device is None or device.revoked_at is not None or not device.user.is_active:
        raise Revoked
    touch(device)
    return device


def touch(device: Device) -> None:
    """Write the time of the device's last use, at most once in TOUCH_AFTER."""
    now = timezone.now()
    if now - device.last_seen_at > TOUCH_AFTER:
        Device.objects.filter(pk=device.pk).update(last_seen_at=now)


def revoke(user_id: UserId, device_id: DeviceId) -> None:
    """Sign a device out, as `sign_out`. Raises NotFound if the user has no such device or it is already signed out."""
    if not sign_out(user_id, device_id):
        raise NotFound


def sign_out(user_id: UserId, device_id: DeviceId) -> bool:
    """Void a device's tokens and web session and close its sockets (4401). Returns False if it was signed out."""
    with transaction.atomic():
        signed_in = Device.objects.filter(pk=device_id, user_id=user_id, revoked_at=None)
        device = signed_in.select_for_update(no_key=True).first()
        if device is None:
            return False
        RefreshToken.objects.filter(device=device).delete()
        Device.objects.filter(pk=device.pk).update(revoked_at=timezone.now(), session_key=None)
        if device.session_key:
            import_module(settings.SESSION_ENGINE).SessionStore().delete(device.session_key)
        record(DeviceSignedOut(user_id=user_id, device_ids=[device_id]))
    publish.close_device(device_id, CLOSE_CODE, "revoked")
    return True


def sign_out_all(user_id: UserId, *, keep: DeviceId | None = None) -> None:
    """Sign out every device of a user except `keep`."""
    signed_in = Device.objects.filter(user_id=user_id, revoked_at=None)
    for device_id in signed_in.values_list("id", flat=True):
        if device_id != keep:
            sign_out(user_id, DeviceId(device_id))


def clean_name(text: str) -> str:
    """Return a device's name as it is stored: printable characters only, at most MAX_NAME_CHARS."""
    return "".join(char for char in text if char.isprintable()).strip()[:MAX_NAME_CHARS]


def find_revoked(device_ids: list[DeviceId]) -> list[DeviceId]:
    """Return the devices that are signed out or deleted, whose user is disabled, or whose web session has ended.

    The gateway closes their sockets. Index: the key of django_session.
    """
    lives = Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=timezone.now())
    active = Device.objects.filter(Q(session_key=None) | Exists(lives), pk__in=device_ids, revoked_at=None)
    return list(set(device_ids).difference(active.filter(user__is_active=True).values_list("id", flat=True)))
