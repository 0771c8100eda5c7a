"""Conversion of rows and results to the bodies of REST answers. Each function is named by the body it returns."""

from accounts.access import Person
from accounts.api_sign_in import SignInResult
from accounts.bodies import (
    Account,
    BlocksPage,
    ContactsPage,
    DevicesPage,
    Entered,
    Overrides,
    PrivacySettings,
    Profile,
    SocketTicket,
    SomeBlock,
    SomeContact,
    SomeDevice,
    SomePerson,
    TokenPair,
)
from accounts.models import User
from accounts.privacy import NAMES, Settings
from accounts.queries import ListedDevice, ListedPerson
from accounts.tickets import Ticket
from accounts.tokens import Pair
from gateway.codec import timestamp
from gateway.ids import DeviceId
from gateway.paging import Page, listing


def token_pair(pair: Pair) -> TokenPair:
    return TokenPair(**_pair(pair))


def entered(result: SignInResult) -> Entered:
    user = Account(id=str(result.user.pk), display_name=result.user.display_name, email=result.user.email)
    return Entered(user=user, **_pair(result.pair))


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


def privacy(settings: Settings, overrides: dict[DeviceId, dict[str, bool]]) -> PrivacySettings:
    shown = {name: getattr(settings, name) for name in NAMES}
    by_device = {str(device_id): Overrides(**values) for device_id, values in overrides.items()}
    return PrivacySettings(**shown, device_overrides=by_device)


def person(known: Person) -> SomePerson:
    return SomePerson(id=str(known.id), display_name=known.display_name, avatar_url=known.avatar_url)


def contact(row: ListedPerson) -> SomeContact:
    return SomeContact(
        id=str(row.id),
        display_name=row.display_name,
        avatar_url=row.avatar_url,
        mutual=row.mutual,
        created_at=timestamp(row.since),
    )


def block(row: ListedPerson) -> SomeBlock:
    since = timestamp(row.since)
    return SomeBlock(id=str(row.id), display_name=row.display_name, avatar_url=row.avatar_url, created_at=since)


def device(row: ListedDevice) -> SomeDevice:
    return SomeDevice(
        id=str(row.id),
        name=row.name,
        platform=row.platform,
        created_at=timestamp(row.created_at),
        last_seen_at=timestamp(row.last_seen_at),
        current=row.current,
    )


def contacts_page(page: Page[ListedPerson]) -> ContactsPage:
    return listing(ContactsPage, map(contact, page.results), page.next_cursor)


def blocks_page(page: Page[ListedPerson]) -> BlocksPage:
    return listing(BlocksPage, map(block, page.results), page.next_cursor)


def devices_page(page: Page[ListedDevice]) -> DevicesPage:
    return listing(DevicesPage, map(device, page.results), page.next_cursor)
