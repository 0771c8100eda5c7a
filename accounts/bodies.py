"""The bodies of the REST routes (protocol 3.1): camelCase, ids as strings, types taken strictly."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from gateway.frames import Frame
from gateway.paging import Listing

Text = Annotated[str, Meta(max_length=1000)]


class Registration(Frame, frozen=True):
    """`POST /auth/register`. Capitals make no difference in the e-mail address."""

    email: Text
    password: Text
    display_name: str
    device_name: Text = ""


class Credentials(Frame, frozen=True):
    """`POST /auth/token`. `deviceId` signs that device in again, where it is yours; else there is a new one."""

    email: Text
    password: Text
    device_id: str | None = None
    device_name: Text = ""


class Refresh(Frame, frozen=True):
    """`POST /auth/token/refresh`."""

    refresh: Text


class TokenPair(Frame, frozen=True):
    """What a device holds after signing in or refreshing."""

    device_id: str
    access: str
    refresh: str
    access_expires_at: str
    refresh_expires_at: str


class Account(Frame, frozen=True):
    """Whose account it is."""

    id: str
    display_name: str
    email: str | None


class Entered(TokenPair, frozen=True):
    """The answer to registering and signing in."""

    user: Account


class SocketTicket(Frame, frozen=True):
    """A ticket that opens one socket: `/ws/v1?ticket=`."""

    ticket: str
    expires_at: str


class Profile(Account, frozen=True):
    """The caller's own account."""

    phone: str | None
    avatar_url: str
    created_at: str


class ProfileChange(Frame, frozen=True):
    """`PATCH /me`: what is given changes."""

    display_name: str | UnsetType = UNSET
    avatar_url: str | UnsetType = UNSET


class Overrides(Frame, omit_defaults=True, frozen=True):
    """One device's own answers: false is stricter than the user's setting; in a change, null takes it back."""

    send_read_receipts: bool | UnsetType | None = UNSET
    show_read_receipts: bool | UnsetType | None = UNSET
    show_last_seen: bool | UnsetType | None = UNSET
    show_online_status: bool | UnsetType | None = UNSET
    show_typing: bool | UnsetType | None = UNSET


class PrivacySettings(Frame, frozen=True):
    """What others may learn of the caller; `deviceOverrides` by device id. In a change, what is given changes."""

    send_read_receipts: bool | UnsetType = UNSET
    show_read_receipts: bool | UnsetType = UNSET
    show_last_seen: bool | UnsetType = UNSET
    show_online_status: bool | UnsetType = UNSET
    show_typing: bool | UnsetType = UNSET
    who_can_message: Literal["everyone", "contacts"] | UnsetType = UNSET
    device_overrides: dict[str, Overrides] | UnsetType = UNSET


class SomePerson(Frame, frozen=True):
    """What others may know of a user."""

    id: str
    display_name: str
    avatar_url: str


class SomeContact(SomePerson, frozen=True):
    """A person on the caller's list; `mutual` where they have the caller on theirs."""

    mutual: bool
    created_at: str


class SomeBlock(SomePerson, frozen=True):
    """A person whom the caller has blocked."""

    created_at: str


class SomeDevice(Frame, frozen=True):
    """A device that is signed in; `current` is the one that asks."""

    id: str
    name: str
    platform: str
    created_at: str
    last_seen_at: str
    current: bool


class PeoplePage(Listing[SomePerson], frozen=True):
    """A page of the directory."""


class ContactsPage(Listing[SomeContact], frozen=True):
    """A page of the caller's contacts."""


class BlocksPage(Listing[SomeBlock], frozen=True):
    """A page of the people whom the caller has blocked."""


class DevicesPage(Listing[SomeDevice], frozen=True):
    """A page of the caller's devices."""
