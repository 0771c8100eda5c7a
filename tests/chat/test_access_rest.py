"""Who may do what over REST: every route and verb, as everybody, on everything. A route without a row fails."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from django.urls import URLPattern, URLResolver

from config.urls import API
from tests.chat.rest import Api
from tests.chat.stage import Stage, filled, stage
from tests.servers import Server

Outcome = int | tuple[int, str]


class Row(NamedTuple):
    """One route and verb. `cells`: "who thing" → status, with the code where it is a refusal; they act in this order.

    `thing` names the id that takes the place of `{it}` in path and body.
    """

    cells: Mapping[str, Outcome]
    body: Any = None
    query: str = ""
    headers: Mapping[str, str] = {}


NOBODY = (401, "UNAUTHORIZED")
NOT_A_MEMBER, NOT_FOUND, FORBIDDEN = (403, "NOT_A_MEMBER"), (404, "NOT_FOUND"), (403, "FORBIDDEN")
INVALID = (422, "INVALID_PAYLOAD")


def of_chats(good: int, *, malformed: Outcome = NOT_FOUND) -> dict[str, Outcome]:
    """What a conversation's route says: to its members alone, and to a blocked person as if there were no block."""
    return {
        "anonymous chat": NOBODY, "stranger chat": NOT_A_MEMBER, "former chat": NOT_A_MEMBER,
        "member unknown": NOT_A_MEMBER, "member malformed": malformed, "stranger closed": NOT_A_MEMBER,
        "member dissolved": NOT_A_MEMBER, "owner dissolved": NOT_A_MEMBER, "member private": NOT_A_MEMBER,
        "admin public": NOT_A_MEMBER, "blocked closed": good, "member closed": good, "member chat": good,
        "admin chat": good, "owner chat": good,
    }  # fmt: skip


def of_teams(member: Outcome, owner: Outcome) -> dict[str, Outcome]:
    """What a team's route says: to its members as their role lets; to all others as if there were none."""
    return {
        "anonymous team": NOBODY, "stranger team": NOT_FOUND, "blocked team": NOT_FOUND, "member unknown": NOT_FOUND,
        "member malformed": NOT_FOUND, "member chat": NOT_FOUND, "member team": member, "admin team": owner,
        "owner team": owner,
    }  # fmt: skip


def of_messages(good: int, *, former: Outcome) -> dict[str, Outcome]:
    """What a message's route says: to whom it was sent; what a block hides exists for its sender alone."""
    return {
        "anonymous late": NOBODY, "stranger late": NOT_FOUND, "former late": NOT_FOUND, "former early": former,
        "member unknown": NOT_FOUND, "member malformed": NOT_FOUND, "member hidden": NOT_FOUND, "member ended": former,
        "owner ended": former, "blocked hidden": good, "blocked before": good, "member before": good,
        "member late": good, "admin late": good, "owner late": good,
    }  # fmt: skip


def of_polls(good: int, *, former: Outcome = NOT_A_MEMBER) -> dict[str, Outcome]:
    """What a poll's route says: as any message's, and that what is no poll is none."""
    return {
        "anonymous poll": NOBODY, "stranger poll": NOT_FOUND, "former poll": NOT_FOUND, "former early": former,
        "member unknown": NOT_FOUND, "member malformed": NOT_FOUND, "member late": NOT_FOUND,
        "member deleted": NOT_FOUND, "blocked before": NOT_FOUND, "member poll": good, "owner poll": good,
    }  # fmt: skip


def of_oneself(good: int) -> dict[str, Outcome]:
    """What a route about the caller says: to anybody who is signed in."""
    return {"anonymous it": NOBODY, "stranger it": good, "member it": good}


ANYBODY: dict[str, Outcome] = {"anonymous it": 200, "stranger it": 200}

ROWS: dict[str, Row] = {
    "GET contract": Row(ANYBODY),
    # --- conversations
    "GET conversations": Row(of_oneself(200)),
    "POST conversations": Row(
        {
            "anonymous member": NOBODY, "stranger unknown": NOT_FOUND, "stranger gone": NOT_FOUND,
            "stranger malformed": INVALID, "stranger stranger": INVALID, "blocked member": 200, "stranger member": 201,
        },
        {"kind": "direct", "userId": "{it}"},
    ),
    "GET conversations/<id>": Row(of_chats(200)),
    "PATCH conversations/<id>": Row(
        of_chats(200) | {"member chat": FORBIDDEN, "blocked closed": FORBIDDEN, "member closed": FORBIDDEN},
        {"topic": "new"},
    ),
    "DELETE conversations/<id>": Row(
        of_chats(204)
        | {"member chat": FORBIDDEN, "admin chat": FORBIDDEN, "blocked closed": FORBIDDEN, "member closed": FORBIDDEN}
    ),
    "PATCH conversations/<id>/members/<id>": Row(
        {
            "anonymous member": NOBODY, "stranger member": NOT_A_MEMBER, "stranger stranger": NOT_A_MEMBER,
            "former former": NOT_A_MEMBER, "member owner": FORBIDDEN, "member former": FORBIDDEN,
            "member member": FORBIDDEN, "owner unknown": NOT_FOUND, "owner malformed": NOT_FOUND,
            "owner stranger": NOT_FOUND, "owner former": NOT_FOUND, "owner owner": FORBIDDEN, "admin owner": FORBIDDEN,
            "admin member": 200, "owner member": 200,
        },
        {"role": "admin"},
    ),
    "GET conversations/<id>/members": Row(of_chats(200)),
    "POST conversations/<id>/members": Row(
        {
            "anonymous extra": NOBODY, "stranger extra": NOT_A_MEMBER, "former extra": NOT_A_MEMBER,
            "member extra": FORBIDDEN, "owner unknown": NOT_FOUND, "owner gone": NOT_FOUND, "owner malformed": INVALID,
            "admin extra": 200, "owner former": 200,
        },
        {"userId": "{it}"},
    ),
    "DELETE conversations/<id>/members/<id>": Row(
        {
            "anonymous member": NOBODY, "stranger member": NOT_A_MEMBER, "stranger stranger": NOT_A_MEMBER,
            "former former": NOT_A_MEMBER, "member owner": FORBIDDEN, "member former": FORBIDDEN,
            "owner unknown": NOT_FOUND, "owner malformed": NOT_FOUND, "owner stranger": NOT_FOUND,
            "owner former": NOT_FOUND, "admin owner": FORBIDDEN, "admin member": 204, "admin admin": 204, "owner owner": 204,
        }
    ),
    "POST conversations/<id>/join": Row(
        {
            "anonymous public": NOBODY, "stranger public": NOT_A_MEMBER, "stranger private": NOT_A_MEMBER,
            "member private": NOT_A_MEMBER, "stranger chat": NOT_A_MEMBER, "member chat": NOT_A_MEMBER,
            "member closed": NOT_A_MEMBER, "member unknown": NOT_A_MEMBER, "member malformed": NOT_FOUND,
            "member dissolved": NOT_A_MEMBER, "admin private": NOT_A_MEMBER, "owner private": 200,
            "member public": 200,
        },
        {},
    ),
    # --- teams: to others than its members a team is not there
    "GET teams": Row(of_oneself(200)),
    "POST teams": Row(of_oneself(201), {"name": "New"}),
    "GET teams/<id>": Row(of_teams(200, 200)),
    "PATCH teams/<id>": Row(of_teams(FORBIDDEN, 200), {"name": "New"}),
    "DELETE teams/<id>": Row(of_teams(FORBIDDEN, 204) | {"admin team": FORBIDDEN}),
    "GET teams/<id>/members": Row(of_teams(200, 200)),
    "POST teams/<id>/members": Row(
        {
            "anonymous extra": NOBODY, "stranger extra": NOT_FOUND, "stranger stranger": NOT_FOUND,
            "member extra": FORBIDDEN, "owner unknown": NOT_FOUND, "owner gone": NOT_FOUND,
            "owner malformed": INVALID, "owner member": 200, "admin extra": 200,
        },
        {"userIds": ["{it}"]},
    ),
    "PATCH teams/<id>/members/<id>": Row(
        {
            "anonymous member": NOBODY, "stranger member": NOT_FOUND, "stranger stranger": NOT_FOUND,
            "member member": FORBIDDEN, "owner stranger": NOT_FOUND, "owner unknown": NOT_FOUND,
            "owner malformed": NOT_FOUND, "owner owner": FORBIDDEN, "admin owner": FORBIDDEN, "admin member": 204,
            "owner member": 204,
        },
        {"role": "admin"},
    ),
    "DELETE teams/<id>/members/<id>": Row(
        {
            "anonymous member": NOBODY, "stranger member": NOT_FOUND, "stranger stranger": NOT_FOUND,
            "member owner": FORBIDDEN, "owner stranger": NOT_FOUND, "owner unknown": NOT_FOUND,
            "owner malformed": NOT_FOUND, "admin owner": FORBIDDEN, "admin member": 204, "member member": NOT_FOUND,
            "admin admin": 204, "owner owner": 204,
        }
    ),
    "GET teams/<id>/channels": Row(of_teams(200, 200)),
    "POST teams/<id>/channels": Row(of_teams(FORBIDDEN, 201), {"name": "New", "kind": "broadcast"}),
    "GET conversations/<id>/messages": Row(of_chats(200)),
    "POST conversations/<id>/messages": Row(of_chats(201), {"content": "hello"}),
    "POST conversations/<id>/backfill": Row(of_chats(200), {}),
    "POST messages/conversation/<id>/backfill": Row(of_chats(200), {}),
    "POST conversations/<id>/read": Row(of_chats(204), {"seq": 1}),
    "POST conversations/<id>/typing": Row(of_chats(204), {}),
    # --- messages
    "GET messages": Row(of_chats(200), query="?chatId={it}"),
    "POST messages": Row(of_chats(201, malformed=INVALID), {"chatId": "{it}", "content": "hello"}),
    "GET messages/<id>": Row(of_messages(200, former=200)),
    "PATCH messages/<id>": Row(
        of_messages(200, former=NOT_A_MEMBER)
        | {
            "blocked before": FORBIDDEN, "admin late": FORBIDDEN, "owner late": FORBIDDEN, "member deleted": NOT_FOUND,
        },
        {"content": "new"},
    ),
    "DELETE messages/<id>": Row(
        of_messages(204, former=NOT_A_MEMBER) | {"blocked before": FORBIDDEN, "member deleted": 204}
    ),
    "GET messages/<id>/versions": Row(of_messages(200, former=200) | {"member deleted": NOT_FOUND}),
    "GET messages/<id>/reactions": Row(of_messages(200, former=NOT_A_MEMBER) | {"member deleted": 200}),
    "PUT messages/<id>/reactions/<id>": Row(of_messages(200, former=NOT_A_MEMBER) | {"member deleted": NOT_FOUND}),
    "DELETE messages/<id>/reactions/<id>": Row(of_messages(200, former=NOT_A_MEMBER) | {"member deleted": NOT_FOUND}),
    "PUT messages/<id>/vote": Row(of_polls(200), {"options": [0]}),
    "POST messages/<id>/close": Row(of_polls(200)),
    "GET messages/<id>/votes": Row(of_polls(200, former=NOT_FOUND)),
    "GET messages/<id>/replies": Row(of_messages(200, former=NOT_A_MEMBER)),
    "POST messages/<id>/replies/read": Row(of_messages(204, former=NOT_A_MEMBER), {"seq": 1}),
    "GET conversations/<id>/threads": Row(of_chats(200)),
    "POST messages/<id>/delivered": Row(of_messages(204, former=NOT_A_MEMBER)),
    "POST messages/<id>/seen": Row(of_messages(204, former=NOT_A_MEMBER)),
    "POST messages/<id>/read": Row(of_messages(204, former=NOT_A_MEMBER)),
    "GET messages/<id>/receipts": Row(of_messages(200, former=NOT_A_MEMBER)),
    "GET messages/<id>/delivery-state": Row(of_messages(200, former=NOT_A_MEMBER)),
    # Its sender's alone: the member's own are "late", "early" and "before".
    "GET messages/<id>/trace": Row(
        of_messages(200, former=NOT_A_MEMBER)
        | {"blocked before": FORBIDDEN, "admin late": FORBIDDEN, "owner late": FORBIDDEN}
    ),
    "GET conversations/<id>/receipts": Row(of_chats(200)),
    "PATCH conversations/<id>/receipts": Row(
        of_chats(200) | {"member chat": FORBIDDEN, "member closed": FORBIDDEN, "blocked closed": FORBIDDEN},
        {"names": True},
    ),
    "POST messages/<id>/typing": Row(of_messages(204, former=NOT_A_MEMBER), {}),
    # --- files
    "POST attachments": Row(of_oneself(201), {"name": "a.txt", "size": 5}),
    "GET attachments/<id>": Row(
        {
            "anonymous file": NOBODY, "stranger file": NOT_FOUND, "former file": NOT_FOUND, "blocked file": NOT_FOUND,
            "owner loose": NOT_FOUND, "owner buried": NOT_FOUND, "member unknown": NOT_FOUND,
            "member malformed": NOT_FOUND, "member loose": 200, "member buried": 200, "owner file": 200,
            "member file": 200,
        }
    ),
    "DELETE attachments/<id>": Row(
        {
            "anonymous loose": NOBODY, "stranger loose": NOT_FOUND, "owner loose": NOT_FOUND, "owner file": NOT_FOUND,
            "member unknown": NOT_FOUND, "member malformed": NOT_FOUND, "member file": FORBIDDEN, "member loose": 204,
        }
    ),
    # By its signed link alone, whoever has it: tests/chat/files/test_rest.py.
    "GET attachments/<id>/content": Row(
        {
            "anonymous file": FORBIDDEN, "stranger file": FORBIDDEN, "member file": FORBIDDEN, "member loose": FORBIDDEN,
            "member unknown": FORBIDDEN, "member malformed": NOT_FOUND,
        }
    ),
    # Bytes for a file that has them already change nothing.
    "PUT attachments/<id>/content": Row(
        {
            "anonymous loose": NOBODY, "stranger loose": NOT_FOUND, "owner loose": NOT_FOUND, "owner file": NOT_FOUND,
            "member unknown": NOT_FOUND, "member malformed": NOT_FOUND, "member file": 200, "member loose": 200,
        },
        {}, headers={"Content-Range": "bytes 0-1/18"},
    ),
    # --- what belongs to the caller
    "POST sync": Row(of_oneself(200), {"chats": {}}),
    "GET me/unread": Row(of_oneself(200)),
    "GET me": Row(of_oneself(200)),
    "PATCH me": Row(of_oneself(200), {"displayName": "New"}),
    "GET me/privacy": Row(of_oneself(200)),
    "PATCH me/privacy": Row(
        {
            "anonymous device": NOBODY, "stranger device": NOT_FOUND, "member theirs": NOT_FOUND,
            "member revoked": NOT_FOUND, "member unknown": NOT_FOUND, "member malformed": NOT_FOUND, "member device": 200,
        },
        {"deviceOverrides": {"{it}": {"showTyping": False}}},
    ),
    "GET me/blocks": Row(of_oneself(200)),
    "PUT me/blocks/<id>": Row(
        {
            "anonymous owner": NOBODY, "member unknown": NOT_FOUND, "member malformed": NOT_FOUND,
            "member member": INVALID, "blocked member": 204, "member blocked": 204, "member owner": 204,
        }
    ),
    "DELETE me/blocks/<id>": Row(
        {
            "anonymous blocked": NOBODY, "owner blocked": NOT_FOUND, "member unknown": NOT_FOUND,
            "member malformed": NOT_FOUND, "member stranger": NOT_FOUND, "member blocked": 204,
        }
    ),
    "GET me/contacts": Row(of_oneself(200)),
    "PUT me/contacts/<id>": Row(
        {
            "anonymous owner": NOBODY, "member unknown": NOT_FOUND, "member malformed": NOT_FOUND,
            "stranger gone": NOT_FOUND, "member member": INVALID, "member blocked": FORBIDDEN,
            "blocked member": NOT_FOUND, "member owner": 204,
        }
    ),
    "DELETE me/contacts/<id>": Row(
        {
            "anonymous extra": NOBODY, "owner extra": NOT_FOUND, "member unknown": NOT_FOUND,
            "member malformed": NOT_FOUND, "member gone": 204, "member extra": 204,
        }
    ),
    # Whoever is not to know, and nobody at all, is an offline person.
    "GET presence": Row(
        {
            "anonymous owner": NOBODY, "stranger member": 200, "former owner": 200, "blocked member": 200,
            "member blocked": 200, "member owner": 200, "member gone": 200, "member unknown": 200,
            "member malformed": NOT_FOUND,
        },
        query="?ids={it}",
    ),
    "GET users": Row(of_oneself(200)),
    "GET users/<id>": Row(
        {
            "anonymous owner": NOBODY, "member unknown": NOT_FOUND, "member malformed": NOT_FOUND,
            "member gone": NOT_FOUND, "blocked member": NOT_FOUND, "member blocked": 200, "stranger member": 200,
            "member member": 200,
        }
    ),
    # --- signing in and out
    "POST auth/register": Row({"anonymous it": INVALID}, {"email": "nobody", "password": "x", "displayName": "N"}),
    "POST auth/token": Row({"anonymous it": NOBODY}, {"email": "nobody@example.org", "password": "wrong"}),
    "POST auth/token/refresh": Row({"anonymous it": NOBODY}, {"refresh": "nothing"}),
    "POST auth/ws-ticket": Row(of_oneself(200)),
    "GET auth/devices": Row(of_oneself(200)),
    "DELETE auth/devices/<id>": Row(
        {
            "anonymous device": NOBODY, "stranger device": NOT_FOUND, "member theirs": NOT_FOUND,
            "member unknown": NOT_FOUND, "member malformed": NOT_FOUND, "member revoked": NOT_FOUND,
            "member device": 204,
        }
    ),
    "POST auth/logout": Row({"anonymous it": NOBODY, "stranger it": 204}),
}  # fmt: skip


def routes() -> Iterator[str]:
    """Yield every route and verb of the table of urls, as the rows write them."""
    for path, view in _views(API):
        for verb in view.http_method_names:
            if hasattr(view, verb) and verb != "options":
                yield f"{verb.upper()} {path}"


def _views(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _views(pattern.url_patterns, route)
        else:
            yield "/".join("<id>" if part.startswith("<") else part for part in route.split("/")), _class(pattern)


def _class(pattern: URLPattern) -> Any:
    return pattern.callback.view_class  # type: ignore[attr-defined]


def test_access_matrix_covers_every_route() -> None:
    assert set(routes()) == set(ROWS), "add a row to ROWS for each new route: who may do what"


@pytest.mark.parametrize("route", ROWS)
def test_access_matches_the_matrix(server: Server, route: str) -> None:
    row, here = ROWS[route], stage()

    outcomes = {cell: _outcome(server, here, route, cell) for cell in row.cells}

    assert outcomes == dict(row.cells)


def _outcome(server: Server, here: Stage, route: str, cell: str) -> Outcome:
    who, thing = cell.split()
    it = here.ids.get(thing, "")
    verb, path = route.split()
    if path.endswith("/reactions/<id>"):
        path = path.removesuffix("<id>") + quote("👍")
    group_first = path.count("<id>") == 2 or (path.endswith("s/<id>/members") and verb == "POST")
    if group_first:
        path = path.replace("<id>", here.ids["team" if path.startswith("teams") else "chat"], 1)
    reply = Api(server, here.people[who])(
        verb,
        path.replace("<id>", it) + ROWS[route].query.format(it=it),
        filled(ROWS[route].body, it=it) if ROWS[route].body is not None else None,
        headers=ROWS[route].headers,
    )
    return (reply.status, reply.code) if reply.status >= 400 else reply.status


OWN = {"pinned": True}


def test_preferences_of_others_cannot_be_set(server: Server) -> None:
    here = stage()
    cells = ("member member", "owner member", "stranger member", "stranger stranger", "former former", "owner unknown")
    outcomes = {}

    for cell in cells:
        who, thing = cell.split()
        path = f"conversations/{here.ids['chat']}/members/{here.ids[thing]}"
        reply = Api(server, here.people[who])("PATCH", path, OWN)
        outcomes[cell] = (reply.status, reply.code) if reply.status >= 400 else reply.status

    assert outcomes == {
        "member member": 200, "owner member": FORBIDDEN, "stranger member": NOT_A_MEMBER,
        "stranger stranger": NOT_A_MEMBER, "former former": NOT_A_MEMBER, "owner unknown": FORBIDDEN,
    }  # fmt: skip
