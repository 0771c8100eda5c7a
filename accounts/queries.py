"""Read queries: the directory, contacts, blocks and devices. Writes nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from accounts.access import Person
from accounts.models import Block, Contact, Device, User
from accounts.users import name_key
from gateway import limits
from gateway.errors import InvalidPayload
from gateway.ids import DeviceId, UserId
from gateway.paging import Page, read_cursor, write_cursor

MAX_QUERY_CHARS = 200
SEARCHES_PER_SECOND = 5


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


class DirectoryRow(NamedTuple):
    """A row of DIRECTORY, its columns in order."""

    id: UserId
    display_name: str
    avatar_url: str
    name_key: str


# Reads the index user_by_name in order and stops at the limit: 2 ms for a rare name among 50,000. The sub-select uses
# block_unique for a few people, block_by_blocked for many.
DIRECTORY = """
SELECT
    person.id,
    person.display_name,
    person.avatar_url,
    person.name_key
FROM accounts_user AS person
WHERE person.is_active
    AND person.id <> %(viewer)s
    AND (person.name_key, person.id) > (%(after_name)s, %(after_id)s)
    AND (
        person.name_key LIKE %(start)s
        OR person.name_key LIKE %(word)s
        OR person.email = %(email)s
    )
    AND NOT EXISTS (
        SELECT FROM accounts_block AS block
        WHERE block.blocked_id = %(viewer)s AND block.blocker_id = person.id
    )
ORDER BY person.name_key, person.id
LIMIT %(limit)s
"""


def search_directory(viewer_id: UserId, *, q: str, cursor: str | None, limit: int) -> Page[Person]:
    """Return a page of users, by name, of whom a word of the name begins with `q`, or whose e-mail address is `q`.

    An address is found whole only: by its beginnings one could spell it out. Raises RateLimited above five a second (F288).
    Omits the viewer, disabled users, and users that block the viewer. Raises InvalidPayload for a foreign cursor.
    """
    limits.enforce(f"{viewer_id}:directory", SEARCHES_PER_SECOND, 2 * SEARCHES_PER_SECOND)
    if "\0" in q or len(q) > MAX_QUERY_CHARS:
        raise InvalidPayload(f"at most {MAX_QUERY_CHARS} characters of text", field="q")
    after_name, after_id = read_cursor(cursor, tuple[str, int]) if cursor else ("", 0)
    key = _escape_like(name_key(" ".join(q.split())))
    email = q.strip().casefold()
    parameters: dict[str, Any] = {
        "viewer": viewer_id,
        "after_name": after_name,
        "after_id": after_id,
        "start": f"{key}%",
        "word": f"% {key}%",
        "email": email,
        "limit": limit + 1,
    }
    with connection.cursor() as sql:
        sql.execute(DIRECTORY, parameters)
        rows = [DirectoryRow(*row) for row in sql.fetchall()]
    people = [Person(row.id, row.display_name, row.avatar_url) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(people, write_cursor((last.name_key, last.id)) if last else None)


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


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
