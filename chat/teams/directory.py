"""The directory of people: search by name or e-mail address, and the list of those whom one already has to do with."""

from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from accounts.users import name_key
from chat.bodies.people import FoundPerson
from gateway import limits
from gateway.errors import InvalidPayload
from gateway.ids import UserId
from gateway.paging import Page, read_cursor, write_cursor

MAX_QUERY_CHARS = 200


class DirectoryRow(NamedTuple):
    """A row of SEARCH or ACQUAINTANCES, its columns in order; `email` is None where the viewer may not see it."""

    id: UserId
    display_name: str
    avatar_url: str
    email: str | None
    name_key: str


# The address is shown to people of a common team, and to mutual contacts. Indexes: team_of_user, team_member_once,
# contact_unique.
COLUMNS = """
SELECT
    person.id, person.display_name, person.avatar_url,
    CASE WHEN EXISTS (
        SELECT FROM chat_teammember AS mine
        JOIN chat_teammember AS theirs ON theirs.team_id = mine.team_id AND theirs.user_id = person.id
        WHERE mine.user_id = %(viewer)s
    ) OR EXISTS (
        SELECT FROM accounts_contact AS mine
        JOIN accounts_contact AS theirs ON theirs.user_id = mine.contact_id AND theirs.contact_id = mine.user_id
        WHERE mine.user_id = %(viewer)s AND mine.contact_id = person.id
    ) THEN person.email END AS email,
    person.name_key
FROM accounts_user AS person
"""
# The sub-select uses block_unique for a few people, block_by_blocked for many.
VISIBLE = """
    person.is_active AND person.confirmed_at IS NOT NULL AND person.id <> %(viewer)s
    AND (person.name_key, person.id) > (%(after_name)s, %(after_id)s)
    AND NOT EXISTS (
        SELECT FROM accounts_block AS block
        WHERE block.blocked_id = %(viewer)s AND block.blocker_id = person.id
    )
ORDER BY person.name_key, person.id
LIMIT %(limit)s
"""
# Reads the index user_by_name in order and stops at the limit: 2 ms for a rare name among 50,000.
SEARCH = f"""
{COLUMNS}
WHERE (person.name_key LIKE %(start)s OR person.name_key LIKE %(word)s OR person.email = %(email)s) AND {VISIBLE}
"""
# Channels are missing because their members are people of a common team. Indexes: team_of_user, team_member_once,
# contact_unique, member_of_user, member_once.
ACQUAINTANCES = f"""
{COLUMNS}
WHERE person.id IN (
    SELECT theirs.user_id FROM chat_teammember AS mine
    JOIN chat_teammember AS theirs ON theirs.team_id = mine.team_id
    WHERE mine.user_id = %(viewer)s
    UNION SELECT contact_id FROM accounts_contact WHERE user_id = %(viewer)s
    UNION SELECT theirs.user_id FROM chat_member AS mine
    JOIN chat_conversation AS shared ON shared.id = mine.conversation_id AND shared.kind IN ('direct', 'group')
    JOIN chat_member AS theirs ON theirs.conversation_id = mine.conversation_id AND theirs.left_seq IS NULL
    WHERE mine.user_id = %(viewer)s AND mine.left_seq IS NULL
) AND {VISIBLE}
"""  # noqa: S608


def search(viewer_id: UserId, *, q: str, cursor: str | None, limit: int) -> Page[FoundPerson]:
    """Return a page of people, by name, with a word of their name beginning with `q` or `q` as their e-mail address.

    An empty `q` lists those of the viewer's teams, contacts, groups and direct chats. Omits the viewer, disabled and
    unconfirmed users, and those that block the viewer. Raises InvalidPayload for a foreign cursor, and RateLimited above
    `searches_per_second` (F288).
    """
    per_second = settings.LIMITS.searches_per_second
    limits.enforce(f"{viewer_id}:searches", per_second, 2 * per_second)
    if "\0" in q or len(q) > MAX_QUERY_CHARS:
        raise InvalidPayload(f"at most {MAX_QUERY_CHARS} characters of text", field="q")
    after_name, after_id = read_cursor(cursor, tuple[str, int]) if cursor else ("", 0)
    key = _escape_like(name_key(" ".join(q.split())))
    parameters: dict[str, Any] = {
        "viewer": viewer_id,
        "after_name": after_name,
        "after_id": after_id,
        "start": f"{key}%",
        "word": f"% {key}%",
        "email": q.strip().casefold(),
        "limit": limit + 1,
    }
    with connection.cursor() as sql:
        sql.execute(SEARCH if key else ACQUAINTANCES, parameters)
        rows = [DirectoryRow(*row) for row in sql.fetchall()]
    people = [
        FoundPerson(id=str(row.id), display_name=row.display_name, avatar_url=row.avatar_url, email=row.email)
        for row in rows[:limit]
    ]
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(people, write_cursor((last.name_key, last.id)) if last else None)


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
