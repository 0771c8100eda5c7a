"""From the rows of accounts to the bodies of its answers, and from addresses and changes to what was asked."""

from typing import Any, NamedTuple

import msgspec
from django.conf import settings
from msgspec import UNSET
from rest_framework.request import Request

from accounts.access import Person
from accounts.bodies import (
    Account,
    BlocksPage,
    ContactsPage,
    DevicesPage,
    Entered,
    Overrides,
    PeoplePage,
    PrivacySettings,
    Profile,
    SocketTicket,
    SomeBlock,
    SomeContact,
    SomeDevice,
    SomePerson,
    TokenPair,
)
from accounts.entrance import Entry
from accounts.models import User
from accounts.pages import Page
from accounts.privacy import NAMES, Settings
from accounts.queries import Listed, SignedIn
from accounts.tickets import Ticket
from accounts.tokens import Pair
from gateway.codec import timestamp
from gateway.http import wire_int

PAGING = {"cursor": str, "limit": int}


class Paging(NamedTuple):
    """Which part of a list is asked for."""

    cursor: str | None
    limit: int


def paging(request: Request) -> Paging:
    """Return the `cursor` and `limit` of an address. Raises InvalidPayload with the name of the wrong one."""
    limit = wire_int(request, "limit", default=settings.LIMITS.page_default, low=1, high=settings.LIMITS.page_max)
    return Paging(request.query_params.get("cursor") or None, limit)


def given(change: msgspec.Struct) -> dict[str, Any]:
    """Return the fields that a change names."""
    values = {name: getattr(change, name) for name in change.__struct_fields__}
    return {name: value for name, value in values.items() if value is not UNSET}


def token_pair(pair: Pair) -> TokenPair:
    return TokenPair(**_pair(pair))


def entered(entry: Entry) -> Entered:
    user = Account(id=str(entry.user.pk), display_name=entry.user.display_name, email=entry.user.email)
    return Entered(user=user, **_pair(entry.pair))


def _pair(pair: Pair) -> dict[str, str]:
    return {
        "device_id": str(pair.device_id),
        "access": pair.access,
        "refresh": pair.refresh,
        "access_expires_at": timestamp(pair.access_expires_at),
        "refresh_expires_at": timestamp(pair.refresh_expires_at),
    }


def ticket(issued: Ticket) -> SocketTicket:
    return SocketTicket(ticket=issued.ticket, expires_at=timestamp(issued.expires_at))


def profile(user: User) -> Profile:
    return Profile(
        id=str(user.pk),
        display_name=user.display_name,
        email=user.email,
        phone=user.phone,
        avatar_url=user.avatar_url,
        created_at=timestamp(user.created_at),
    )


def privacy(settings: Settings, overrides: dict[int, dict[str, bool]]) -> PrivacySettings:
    shown = {name: getattr(settings, name) for name in NAMES}
    by_device = {str(device_id): Overrides(**values) for device_id, values in overrides.items()}
    return PrivacySettings(**shown, device_overrides=by_device)


def person(known: Person) -> SomePerson:
    return SomePerson(id=str(known.id), display_name=known.display_name, avatar_url=known.avatar_url)


def contact(row: Listed) -> SomeContact:
    return SomeContact(
        id=str(row.id),
        display_name=row.display_name,
        avatar_url=row.avatar_url,
        mutual=row.mutual,
        created_at=timestamp(row.since),
    )


def block(row: Listed) -> SomeBlock:
    since = timestamp(row.since)
    return SomeBlock(id=str(row.id), display_name=row.display_name, avatar_url=row.avatar_url, created_at=since)


def device(row: SignedIn) -> SomeDevice:
    return SomeDevice(
        id=str(row.id),
        name=row.name,
        platform=row.platform,
        created_at=timestamp(row.created_at),
        last_seen_at=timestamp(row.last_seen_at),
        current=row.current,
    )


def people_page(page: Page[Person]) -> PeoplePage:
    return PeoplePage(results=[person(row) for row in page.results], **_rest(page))


def contacts_page(page: Page[Listed]) -> ContactsPage:
    return ContactsPage(results=[contact(row) for row in page.results], **_rest(page))


def blocks_page(page: Page[Listed]) -> BlocksPage:
    return BlocksPage(results=[block(row) for row in page.results], **_rest(page))


def devices_page(page: Page[SignedIn]) -> DevicesPage:
    return DevicesPage(results=[device(row) for row in page.results], **_rest(page))


def _rest(page: Page[Person] | Page[Listed] | Page[SignedIn]) -> dict[str, Any]:
    return {"next_cursor": page.next_cursor, "has_more": page.has_more}
