"""Privacy settings (F228). Code that sends an indicator reads them first (F229); they do not change stored data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from django.db import transaction

from accounts.models import Device, Privacy
from gateway import publish
from gateway.errors import NotFound
from gateway.ids import DeviceId, UserId

# Name of the notice that visibility between some users and others has changed (F113, F207).
PRIVACY_CHANGED = "privacy"


@dataclass(frozen=True)
class Settings:
    """Privacy settings of a user: which of their data others may see. The defaults apply without a row."""

    send_read_receipts: bool = True
    show_read_receipts: bool = True
    show_last_seen: bool = True
    show_online_status: bool = True
    show_typing: bool = True
    who_can_message: str = "everyone"


NAMES = tuple(field.name for field in fields(Settings))
FLAGS = tuple(name for name in NAMES if name != "who_can_message")


def get_settings(user_id: UserId) -> Settings:
    """Return the settings of a user."""
    return get_settings_by_user([user_id])[user_id]


def get_settings_by_user(user_ids: Iterable[UserId]) -> dict[UserId, Settings]:
    """Return the settings of several users by user id, in one query."""
    ids = list(user_ids)
    changed = {UserId(row.user_id): _settings_of(row) for row in Privacy.objects.filter(user_id__in=ids)}
    return dict.fromkeys(ids, Settings()) | changed


def _settings_of(row: Privacy) -> Settings:
    return Settings(**{name: getattr(row, name) for name in NAMES})


def get_device_settings(user_id: UserId, device_id: DeviceId) -> Settings:
    """Return the settings that apply on a device. Its overrides can only be stricter than the user's settings."""
    settings = get_settings(user_id)
    overrides = Device.objects.filter(pk=device_id, user_id=user_id).values_list("privacy_overrides", flat=True).first()
    stricter: dict[str, Any] = {name: False for name in FLAGS if (overrides or {}).get(name) is False}
    return replace(settings, **stricter)


def get_overrides(user_id: UserId) -> dict[DeviceId, dict[str, bool]]:
    """Return the overrides of a user's devices by device id; devices without overrides are omitted."""
    rows = Device.objects.filter(user_id=user_id, revoked_at=None).exclude(privacy_overrides={})
    return {DeviceId(row.pk): row.privacy_overrides for row in rows.only("privacy_overrides")}


def change(
    user_id: UserId,
    *,
    settings: Mapping[str, bool | str],
    overrides: Mapping[DeviceId, Mapping[str, bool | None]] | None = None,
) -> None:
    """Change the given settings of a user and the given overrides of devices; None removes an override.

    Raises NotFound, and changes nothing, if a device does not belong to the user.
    """
    with transaction.atomic():
        Privacy.objects.select_for_update().get_or_create(user_id=user_id)
        devices = Device.objects.filter(user_id=user_id, revoked_at=None).in_bulk(list(overrides or {}))
        if len(devices) != len(overrides or {}):
            raise NotFound
        if settings:
            Privacy.objects.filter(user_id=user_id).update(**settings)
        for device_id, changes in (overrides or {}).items():
            merged = {**devices[device_id].privacy_overrides, **changes}
            kept = {name: value for name, value in merged.items() if value is not None}
            Device.objects.filter(pk=device_id).update(privacy_overrides=kept)
        transaction.on_commit(partial(publish.notice, PRIVACY_CHANGED, [user_id]))


def stricter(device: str, switch: str) -> str:
    """Return the SQL condition that a device has a switch of FLAGS off; `device` is an alias of accounts_device.

    It is NULL where the device is. Index: device_strict, which holds the few devices with overrides.
    """
    return f"({device}.privacy_overrides <> '{{}}'::jsonb AND {device}.privacy_overrides->'{switch}' = 'false')"
