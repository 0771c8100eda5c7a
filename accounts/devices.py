"""Devices: what is signed in, and signing it out everywhere. Revocation is what all credentials are checked against."""

from datetime import timedelta
from importlib import import_module

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import Device, RefreshToken
from gateway import publish
from gateway.errors import NotFound, Unauthorized
from outbox.events import DeviceSignedOut
from outbox.outbox import record

MAX_NAME_CHARS = 200
# `last_seen_at` is for people to look at: more exact would cost a write a request.
TOUCH_AFTER = timedelta(minutes=5)
CLOSE_CODE = 4401


class Revoked(Unauthorized):
    """This device has been signed out: sign in again."""


def add(user_id: int, *, name: str = "", platform: str = "") -> Device:
    """Make a device for a user who has just signed in. The name is shown in the list of sessions."""
    return Device.objects.create(user_id=user_id, name=clean_name(name), platform=platform)


def sign_in(user_id: int, *, device_id: int | None, name: str = "", platform: str = "") -> Device:
    """Return the device of a sign-in: the named one where it is the user's and not revoked, else a new one.

    The old refresh tokens of a device that signs in again are void; it is held until the transaction's end, so that
    one which is just being refreshed is void too.
    """
    device = None
    if device_id is not None:
        usable = Device.objects.filter(pk=device_id, user_id=user_id, revoked_at=None)
        device = usable.select_for_update(no_key=True).first()
    if device is None:
        return add(user_id, name=name, platform=platform)
    RefreshToken.objects.filter(device=device).delete()
    return device


def get_active(user_id: int, device_id: int) -> Device:
    """Return a device with its user. Raises Revoked unless it is the user's, not revoked, and the user is active."""
    device = Device.objects.select_related("user").filter(pk=device_id, user_id=user_id).first()
    if device is None or device.revoked_at is not None or not device.user.is_active:
        raise Revoked
    touch(device)
    return device


def touch(device: Device) -> None:
    """Note that a device was here, every few minutes at most."""
    now = timezone.now()
    if now - device.last_seen_at > TOUCH_AFTER:
        Device.objects.filter(pk=device.pk).update(last_seen_at=now)


def revoke(user_id: int, device_id: int) -> None:
    """Sign a device out, as `sign_out`. Raises NotFound where the user has no such device, or it is out already."""
    if not sign_out(user_id, device_id):
        raise NotFound


def sign_out(user_id: int, device_id: int) -> bool:
    """Void a device's tokens and web session and tell its sockets to close (4401); returns False if it was out already."""
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


def sign_out_all(user_id: int, *, keep: int | None = None) -> None:
    """Sign out every device of a user but one."""
    signed_in = Device.objects.filter(user_id=user_id, revoked_at=None)
    for device_id in signed_in.values_list("id", flat=True):
        if device_id != keep:
            sign_out(user_id, device_id)


def clean_name(text: str) -> str:
    """Return a device's name as it is stored: printable, cut to MAX_NAME_CHARS."""
    return "".join(char for char in text if char.isprintable()).strip()[:MAX_NAME_CHARS]


def find_revoked(device_ids: list[int]) -> list[int]:
    """Return those of these devices that are signed out or gone, or whose user is disabled: the gateway asks in rounds."""
    active = Device.objects.filter(pk__in=device_ids, revoked_at=None, user__is_active=True).values_list(
        "id", flat=True
    )
    return list(set(device_ids).difference(active))
