"""Web sessions. Each one is a device, so that users can list and revoke it."""

import re

from django.contrib.sessions.backends.base import SessionBase

from accounts import devices
from accounts.devices import Revoked
from accounts.models import Device, User

DEVICE_KEY = "device_id"
# The first match is used. The order matters: most browsers also name other browsers.
BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
BROWSER_NAMES = {"Edg": "Edge", "OPR": "Opera"}
SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux")
SYSTEM_NAMES = {"Mac OS X": "macOS"}


def get_or_create_device(
    session: SessionBase, user: User, *, user_agent: str = "", network_hash: bytes | None = None
) -> Device:
    """Return the device of a signed-in web session; create it on first use, with the hash of the client's network.

    Raises Revoked and deletes the session if the device was signed out.
    """
    device = (
        _load_device(session, user)
        if DEVICE_KEY in session
        else _create_device(session, user, user_agent, network_hash)
    )
    if session.session_key and device.session_key != session.session_key:
        Device.objects.filter(pk=device.pk).update(session_key=session.session_key)
    devices.touch(device)
    return device


def _load_device(session: SessionBase, user: User) -> Device:
    device = Device.objects.filter(pk=session[DEVICE_KEY], user=user, revoked_at=None).first()
    if device is None:
        session.flush()
        raise Revoked
    return device


def _create_device(session: SessionBase, user: User, user_agent: str, network_hash: bytes | None) -> Device:
    if session.session_key is None:
        session.create()
    device, _ = Device.objects.get_or_create(
        session_key=session.session_key,
        defaults={
            "user": user,
            "name": describe_browser(user_agent),
            "platform": "web",
            "network_hash": network_hash,
        },
    )
    session[DEVICE_KEY] = device.pk
    return device


def describe_browser(user_agent: str) -> str:
    """Return a readable name for a user agent, for example "Firefox on Linux"."""
    browser = next((b for b in BROWSERS if re.search(rf"\b{b}/", user_agent)), None)
    system = next((s for s in SYSTEMS if s in user_agent), None)
    name = BROWSER_NAMES.get(browser, browser) if browser else "Browser"
    return f"{name} on {SYSTEM_NAMES.get(system, system)}" if system else name
