"""The bodies of the REST routes (protocol 3.1): camelCase names, ids as strings, no conversion between types."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from gateway.frames import Frame
from gateway.paging import Listing

Text = Annotated[str, Meta(max_length=1000)]


class Registration(Frame, frozen=True):
    """`POST /auth/register`. The e-mail address is case-insensitive; `invitation` is the text in an invitation link."""

    email: Text
    password: Text
    display_name: str
    device_name: Text = ""
    invitation: Text = ""


class Credentials(Frame, frozen=True):
    """`POST /auth/token`. `deviceId` signs that device in again if it is yours; otherwise a new device is created."""

    email: Text
    password: Text
    device_id: str | None = None
    device_name: Text = ""


class Refresh(Frame, frozen=True):
    """`POST /auth/token/refresh`."""

    refresh: Text


class TokenPair(Frame, frozen=True):
    """The tokens of a device after a sign-in or refresh."""

    device_id: str
    access: str
    refresh: str
    access_expires_at: str
    refresh_expires_at: str


class Account(Frame, frozen=True):
    """The account of the signed-in user."""

    id: str
    display_name: str
    email: str | None


class Entered(TokenPair, frozen=True):
    """The answer to a registration or sign-in."""

    user: Account


class MailSent(Frame, frozen=True):
    """The answer to a registration whose address is not confirmed yet, or has an account: a mail went to it."""

    confirm: Literal["email"] = "email"


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
    """`PATCH /me`: only the given fields change."""

    display_name: str | UnsetType = UNSET
    avatar_url: str | UnsetType = UNSET


class Overrides(Frame, omit_defaults=True, frozen=True):
    """Overrides of one device: false is stricter than the user's setting; in a change, null removes the override."""

    send_read_receipts: bool | UnsetType | None = UNSET
    show_read_receipts: bool | UnsetType | None = UNSET
    show_last_seen: bool | UnsetType | None = UNSET
    show_online_status: bool | UnsetType | None = UNSET
    show_typing: bool | UnsetType | None = UNSET


class PrivacySettings(Frame, frozen=True):
    """Privacy settings of the caller; `deviceOverrides` by device id. A change sets only the given fields."""

    send_read_receipts: bool | UnsetType = UNSET
    show_read_receipts: bool | UnsetType = UNSET
    show_last_seen: bool | UnsetType = UNSET
    show_online_status: bool | UnsetType = UNSET
    show_typing: bool | UnsetType = UNSET
    who_can_message: Literal["everyone", "contacts"] | UnsetType = UNSET
    device_overrides: dict[str, Overrides] | UnsetType = UNSET


class SomePerson(Frame, frozen=True):
    """The part of a user that other users may see."""

    id: str
    display_name: str
    avatar_url: str


class SomeContact(SomePerson, frozen=True):
    """A contact of the caller; `mutual` if the caller is also a contact of theirs."""

    mutual: bool
    created_at: str


class SomeBlock(SomePerson, frozen=True):
    """A person that the caller has blocked."""

    created_at: str


class SomeDevice(Frame, frozen=True):
    """A signed-in device; `current` marks the device of the request."""

    id: str
    name: str
    platform: str
    created_at: str
    last_seen_at: str
    current: bool


class ContactsPage(Listing[SomeContact], frozen=True):
    """A page of the caller's contacts."""


class BlocksPage(Listing[SomeBlock], frozen=True):
    """A page of the people that the caller has blocked."""


class DevicesPage(Listing[SomeDevice], frozen=True):
    """A page of the caller's devices."""
