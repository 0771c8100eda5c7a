"""Read queries: contacts, blocks and devices. Writes nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.access import Person
from accounts.models import Block, Contact, Device, User
from gateway.ids import DeviceId, UserId
from gateway.paging import Page, read_cursor, write_cursor


@dataclass(frozen=True)
class ListedPerson(Person):
    """A contact or blocked person of the viewer; `since` is the time of the entry."""

    since: datetime
    mutual: bool


@dataclass(frozen=True)
class ListedDevice:
    """A device in the user's list of sessions; `current` marks the device of the request."""

    id: DeviceId
    name: str
    platform: str
    created_at: datetime
    last_seen_at: datetime
    current: bool


def list_contacts(user_id: UserId, *, cursor: str | None, limit: int) -> Page[ListedPerson]:
    """Return a page of the user's contacts, the newest first."""
    rows = Contact.objects.filter(user_id=user_id, contact__is_active=True).select_related("contact")
    page = _newest_page(rows, cursor, limit)
    people = [row.contact_id for row in page.results]
    adders = Contact.objects.filter(user_id__in=people, contact_id=user_id).values_list("user_id", flat=True)
    mutual = set(adders)
    listed = [_listed(row.contact, row.created_at, row.contact_id in mutual) for row in page.results]
    return Page(listed, page.next_cursor)


def list_blocks(user_id: UserId, *, cursor: str | None, limit: int) -> Page[ListedPerson]:
    """Return a page of the people that the user blocks, the newest first."""
    page = _newest_page(Block.objects.filter(blocker_id=user_id).select_related("blocked"), cursor, limit)
    return Page([_listed(row.blocked, row.created_at, False) for row in page.results], page.next_cursor)


def list_devices(user_id: UserId, *, current: DeviceId, cursor: str | None, limit: int) -> Page[ListedDevice]:
    """Return a page of the user's signed-in devices, the newest first; `current` is the device of the request."""
    page = _newest_page(Device.objects.filter(user_id=user_id, revoked_at=None), cursor, limit)
    devices = [
        ListedDevice(row.pk, row.name, row.platform, row.created_at, row.last_seen_at, row.pk == current)
        for row in page.results
    ]
    return Page(devices, page.next_cursor)


def _listed(user: User, since: datetime, mutual: bool) -> ListedPerson:
    return ListedPerson(UserId(user.pk), user.display_name, user.avatar_url, since=since, mutual=mutual)


def _newest_page(rows: Any, cursor: str | None, limit: int) -> Page[Any]:
    if cursor:
        rows = rows.filter(pk__lt=read_cursor(cursor, int))
    newest = list(rows.order_by("-pk")[: limit + 1])
    return Page(newest[:limit], write_cursor(newest[limit - 1].pk) if len(newest) > limit else None)
