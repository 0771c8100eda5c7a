"""Who may send which frame: every type, as everybody, on everything. A type without a row fails."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from config.frames import ALIASES, FRAMES
from tests.chat.stage import Stage, filled, stage
from tests.clients import Client, connected, opened
from tests.servers import Server

OK = "ok"
# What a frame answers: "ok", the code of its refusal, or "" where there is nothing to say.
Outcome = str


class Row(NamedTuple):
    """One frame type. `cells`: "who thing" → outcome; `thing` names the id that takes the place of `{it}`."""

    payload: Any
    cells: Mapping[str, Outcome]


def of_chats(good: Outcome) -> dict[str, Outcome]:
    return {
        "stranger chat": "NOT_A_MEMBER",
        "former chat": "NOT_A_MEMBER",
        "member unknown": "NOT_A_MEMBER",
        "member malformed": "INVALID_PAYLOAD",
        "stranger closed": "NOT_A_MEMBER",
        "member dissolved": "NOT_A_MEMBER",
        "owner dissolved": "NOT_A_MEMBER",
        "member private": "NOT_A_MEMBER",
        "admin public": "NOT_A_MEMBER",
        "blocked closed": good,
        "member closed": good,
        "member chat": good,
        "admin chat": good,
        "owner chat": good,
    }


def of_messages(good: Outcome, **others: Outcome) -> dict[str, Outcome]:
    """What a change of a message says: to who may see it, and by its author's rights; `others` by "who_thing"."""
    return {
        "stranger late": "NOT_FOUND",
        "former early": "NOT_A_MEMBER",
        "former late": "NOT_FOUND",
        "member unknown": "NOT_FOUND",
        "member malformed": "INVALID_PAYLOAD",
        "member hidden": "NOT_FOUND",
        "member deleted": "NOT_FOUND",
        "member ended": "NOT_A_MEMBER",
        "owner ended": "NOT_A_MEMBER",
        "blocked hidden": good,
        "blocked before": good,
        "member before": good,
        "admin late": good,
        "owner late": good,
        "member late": good,
    } | {cell.replace("_", " "): outcome for cell, outcome in others.items()}


POLLS = {
    "stranger poll": "NOT_FOUND", "former poll": "NOT_FOUND", "former early": "NOT_A_MEMBER",
    "member unknown": "NOT_FOUND", "member malformed": "INVALID_PAYLOAD", "member late": "NOT_FOUND",
    "member deleted": "NOT_FOUND", "blocked before": "NOT_FOUND", "member poll": OK, "owner poll": OK,
}  # fmt: skip
SAID = {"chatId": "{it}", "content": "hello"}
SILENT = {cell: "" if outcome == "NOT_A_MEMBER" else outcome for cell, outcome in of_chats("").items()}
# Focus is a note about one's own screen: it opens nothing, whatever it names.
FOCUS = {cell: OK if outcome == "NOT_A_MEMBER" else outcome for cell, outcome in of_chats(OK).items()}
PEOPLE = {
    "stranger member": OK, "former owner": OK, "blocked member": OK, "member blocked": OK, "member owner": OK,
    "member member": OK, "member gone": OK, "member unknown": OK, "member malformed": "INVALID_PAYLOAD",
}  # fmt: skip

ROWS: dict[str, Row] = {
    "message.send": Row(SAID, of_chats(OK)),
    "message.edit": Row(
        {"messageId": "{it}", "content": "new"},
        of_messages(OK, blocked_before="FORBIDDEN", admin_late="FORBIDDEN", owner_late="FORBIDDEN"),
    ),
    "message.delete": Row(
        {"messageId": "{it}"}, of_messages(OK, blocked_before="FORBIDDEN", member_deleted=OK, owner_deleted=OK)
    ),
    "message.react": Row({"messageId": "{it}", "emoji": "👍", "action": "add"}, of_messages(OK)),
    "poll.vote": Row({"messageId": "{it}", "options": [0]}, POLLS),
    "poll.close": Row({"messageId": "{it}"}, POLLS),
    "message.delivered": Row({"chatId": "{it}", "seq": 1}, of_chats("")),
    "read.mark": Row({"chatId": "{it}", "seq": 1}, of_chats("")),
    "typing.start": Row({"chatId": "{it}"}, of_chats("")),
    "typing.stop": Row({"chatId": "{it}"}, SILENT),
    "presence.update": Row({"status": "dnd"}, {"stranger it": OK, "member it": OK}),
    # Whoever is not to know, and nobody at all, is an offline person.
    "presence.subscribe": Row({"userIds": ["{it}"]}, PEOPLE),
    "presence.unsubscribe": Row({"userIds": ["{it}"]}, PEOPLE),
    "chat.focus": Row({"chatId": "{it}"}, FOCUS),
    "sync.request": Row({"chatId": "{it}"}, of_chats(OK)),
    "request-backfill": Row({"chatId": "{it}"}, of_chats(OK)),
    "ping": Row({}, {"stranger it": ""}),
    "auth.renew": Row({"token": "no token"}, {"stranger it": "UNAUTHORIZED"}),
    # The older names, each as its own.
    "send_message": Row(SAID, of_chats(OK)),
    "typing": Row({"chatId": "{it}"}, of_chats("")),
    "read_receipt": Row({"chatId": "{it}", "seq": 1}, of_chats("")),
    "mark-read": Row({"chatId": "{it}", "seq": 1}, of_chats("")),
}
OF_THE_CONNECTION = {"ping", "auth.renew"}


def test_access_matrix_covers_every_frame_type() -> None:
    assert set(FRAMES) | set(ALIASES) | OF_THE_CONNECTION == set(ROWS), "add a row to ROWS for each new frame type"


async def test_anonymous_socket_is_refused(server: Server) -> None:
    async with opened(server) as nobody:
        assert await nobody.closed() == 4401


@pytest.mark.parametrize("type_", ROWS)
async def test_access_matches_the_matrix(server: Server, type_: str) -> None:
    here = stage()
    cells = ROWS[type_].cells

    outcomes = {cell: await _outcome(server, here, type_, *cell.split()) for cell in cells}

    assert outcomes == dict(cells)


@pytest.mark.parametrize("type_", ["read.mark", "sync.request"])
async def test_mark_by_message_needs_a_visible_message_of_that_chat(server: Server, type_: str) -> None:
    here = stage()
    name = {"read.mark": "messageId", "sync.request": "lastMessageId"}[type_]
    good = {"read.mark": "", "sync.request": OK}[type_]
    outcomes = []

    for who, chat, message in (
        ("member", "chat", "late"), ("member", "chat", "before"), ("member", "closed", "hidden"),
        ("blocked", "closed", "hidden"), ("member", "chat", "unknown"), ("former", "chat", "early"),
    ):  # fmt: skip
        payload = {"chatId": here.ids[chat], name: here.ids[message]}
        outcomes.append(await _answer(server, here, who, type_, payload))

    assert outcomes == [good, "NOT_FOUND", "NOT_FOUND", good, "NOT_FOUND", "NOT_A_MEMBER"]


async def _outcome(server: Server, here: Stage, type_: str, who: str, thing: str) -> Outcome:
    return await _answer(server, here, who, type_, filled(ROWS[type_].payload, it=here.ids.get(thing, "")))


async def _answer(server: Server, here: Stage, who: str, type_: str, payload: Any) -> Outcome:
    person = here.people[who]
    assert person is not None
    async with connected(server, person) as client:
        id_ = await client.send(type_, payload, id_=str(uuid4()))
        return await _said_of(client, id_)


async def _said_of(client: Client, id_: str) -> Outcome:
    """Return what was answered to a frame; a frame that is handled after it proves that nothing more will come."""
    await client.call("sync.request", {"chats": {}})
    about = [f for f in client.frames if f["type"] in ("ack", "error") and f["payload"].get("refId") == id_]
    assert len(about) <= 1
    if not about:
        return ""
    payload = about[0]["payload"]
    return OK if payload.get("status") == "ok" else str((payload.get("error") or payload)["code"])
