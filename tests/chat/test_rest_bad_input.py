"""Whatever a request holds, it is answered by a problem document that names no internals, and nothing is stored."""

import base64
import json
from http.cookies import SimpleCookie
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.utils.module_loading import import_string

from accounts.models import User
from gateway.ids import ConversationId
from tests.chat import rows
from tests.chat.rest import PROBLEM, Api, Reply
from tests.factories import Someone, direct, group, say, someone
from tests.servers import Server

SENDS = "conversations/{chat}/messages"


def refused(reply: Reply, status: int, code: str, *fields: str) -> None:
    """Assert that an answer is a problem document as RFC 9457 and protocol 3 have it."""
    assert (reply.status, reply.code, reply.fields) == (status, code, sorted(fields)), reply.body
    assert reply.headers["content-type"] == PROBLEM
    assert reply.body.keys() - {"errors"} == {"type", "title", "status", "code", "detail"}
    assert reply.body["status"] == status
    text = json.dumps(reply.body)
    assert not any(word in text for word in ("Traceback", "psycopg", "django", "/work", "SELECT"))


@pytest.fixture
def chat_of(server: Server) -> tuple[Api, int]:
    ada = someone()
    return Api(server, ada), direct(ada, someone())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "content"),
        ({"content": None}, "content"),
        ({"content": 1}, "content"),
        ({"content": ["a"]}, "content"),
        ({"content": {"a": 1}}, "content"),
        ({"content": ""}, "content"),
        ({"content": "a\0b"}, "content"),
        ({"content": "a", "clientId": "no uuid"}, "id"),
        ({"content": "a", "clientId": 7}, "clientId"),
        ({"content": "a", "contentType": "html"}, "contentType"),
        ({"content": "a", "contentType": 1}, "contentType"),
        ({"content": "a", "priority": "now"}, "priority"),
        ({"content": "a", "replyTo": 12}, "replyTo"),
        ({"content": "a", "replyTo": "x"}, "replyTo"),
        ({"content": "a", "mentions": "all"}, "mentions"),
        ({"content": "a", "mentions": ["x"]}, "mentions"),
        ({"content": "a", "mentions": [1]}, "mentions"),
        ({"content": "a", "lastSeenSeq": -1}, "lastSeenSeq"),
        ({"content": "a", "lastSeenSeq": "1"}, "lastSeenSeq"),
        ({"content": "a", "lastSeenSeq": 1.5}, "lastSeenSeq"),
        ({"content": "a", "lastSeenSeq": True}, "lastSeenSeq"),
        ({"content": "a", "lastSeenSeq": 2**70}, "lastSeenSeq"),
        ({"content": "a", "attachments": {}}, "attachments"),
    ],
    ids=str,
)
def test_invalid_field_is_named_in_the_error(chat_of: tuple[Api, int], body: dict[str, Any], field: str) -> None:
    api, chat = chat_of

    refused(api.post(SENDS.format(chat=chat), body), 422, "INVALID_PAYLOAD", field)
    assert rows.counters(ConversationId(chat))[0] == 0


@pytest.mark.parametrize(
    ("body", "status", "code", "fields"),
    [
        ({"content": "x" * 10_001}, 413, "CONTENT_TOO_LONG", ["content"]),
        ({"content": "👩" * 8_193}, 413, "CONTENT_TOO_LONG", ["content"]),
        ({"content": "a", "attachments": ["1"]}, 422, "ATTACHMENT_REJECTED", ["attachments"]),
        ({"content": "a", "lastSeenSeq": 1}, 409, "CLOCK_AHEAD", ["lastSeenSeq"]),
        ({"content": "a", "replyTo": "1"}, 404, "NOT_FOUND", []),
        ({"content": "a", "replyTo": "9" * 19}, 404, "NOT_FOUND", []),
    ],
    ids=["10,001 characters", "32,772 bytes", "attachment", "clock", "unknown reply", "reply beyond bigint"],
)
def test_refused_change_has_the_code_of_its_rule(
    chat_of: tuple[Api, int], body: dict[str, Any], status: int, code: str, fields: list[str]
) -> None:
    api, chat = chat_of

    refused(api.post(SENDS.format(chat=chat), body), status, code, *fields)
    assert rows.counters(ConversationId(chat))[0] == 0


DEEP = 20_000
UNREADABLE = {
    "nothing at all": b"",
    "no JSON": b"content=hello",
    "broken JSON": b'{"content": "a"',
    "two values": b'{"content": "a"} {}',
    "bad UTF-8": b'{"content": "\xff\xfe"}',
    "overlong UTF-8": b'{"content": "\xc0\x80"}',
    "a lone surrogate": b'{"content": "\\ud800"}',
    "a raw NUL": b'{"content": "a\x00b"}',
    "deep lists": b"[" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep in an unknown field": b'{"content": "a", "x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "NaN": b'{"content": NaN}',
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_unreadable_body_is_a_bad_frame(chat_of: tuple[Api, int], raw: bytes) -> None:
    api, chat = chat_of

    reply = api("POST", SENDS.format(chat=chat), raw=raw)

    assert reply.status in (400, 422)
    refused(reply, reply.status, "BAD_FRAME" if reply.status == 400 else "INVALID_PAYLOAD", *reply.fields)
    assert rows.counters(ConversationId(chat))[0] == 0


@pytest.mark.parametrize("raw", [b"[]", b"1", b"null", b'"text"', b"[{}]"], ids=repr)
@pytest.mark.parametrize("path", ["conversations", "sync", "messages", SENDS])
def test_body_that_is_no_object_is_invalid(chat_of: tuple[Api, int], path: str, raw: bytes) -> None:
    api, chat = chat_of

    reply = api("POST", path.format(chat=chat), raw=raw)

    refused(reply, 422, "INVALID_PAYLOAD", *reply.fields)


def test_huge_body_is_refused(chat_of: tuple[Api, int]) -> None:
    api, chat = chat_of

    reply = api("POST", SENDS.format(chat=chat), {"content": "x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE})

    refused(reply, 413, "FRAME_TOO_LARGE")


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/xml", ""])
def test_only_json_bodies_are_accepted(chat_of: tuple[Api, int], kind: str) -> None:
    api, chat = chat_of

    reply = api("POST", SENDS.format(chat=chat), raw=b'{"content": "a"}', headers={"Content-Type": kind})

    assert reply.status in (400, 415)
    refused(reply, reply.status, "BAD_FRAME")
    assert rows.counters(ConversationId(chat))[0] == 0


def test_unknown_field_is_ignored(chat_of: tuple[Api, int]) -> None:
    api, chat = chat_of

    assert api.post(SENDS.format(chat=chat), {"content": "a", "colour": {"x": [1]}}).status == 201


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("conversations?limit=0", "limit"),
        ("conversations?limit=101", "limit"),
        ("conversations?limit=many", "limit"),
        ("conversations/{chat}/messages?limit=0", "limit"),
        ("conversations/{chat}/messages?limit=501", "limit"),
        ("conversations/{chat}/messages?before=-1", "before"),
        ("conversations/{chat}/messages?after=1.5", "after"),
        ("conversations/{chat}/messages?around=%D9%A1", "around"),
        ("conversations/{chat}/messages?before=99999999999999999999", "before"),
        ("messages", "chatId"),
        ("messages?chatId=", "chatId"),
    ],
)
def test_invalid_query_number_is_named_in_the_error(chat_of: tuple[Api, int], path: str, field: str) -> None:
    api, chat = chat_of

    refused(api.get(path.format(chat=chat)), 422, "INVALID_PAYLOAD", field)


def cursor(key: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


CURSORS = [
    "x", "%00", "not a cursor", "a" * 10_000, cursor("text"), cursor([]), cursor(["before"]), cursor([1, 2]),
    cursor(["before", "5"]), cursor(["limit", 5]), cursor(["viewer", 5]), cursor(["sideways", 5]),
    cursor(["before", 10**30]), cursor(["before", -(10**30)]), cursor(["after", 1, 2]),
    cursor(["2026-01-01T00:00:00Z", 10**30]), cursor(["no time", 1]), cursor(["0001-01-01T00:00:00Z", -1]),
    cursor(["9999-12-31T23:59:59-12:00", 1]), cursor(["2026-01-01T00:00:00", 1]),
]  # fmt: skip


@pytest.mark.parametrize("text", CURSORS)
@pytest.mark.parametrize("path", ["conversations", "conversations/{chat}/messages"])
def test_forged_cursor_is_refused_or_harmless(chat_of: tuple[Api, int], path: str, text: str) -> None:
    api, chat = chat_of

    reply = api.get(f"{path.format(chat=chat)}?cursor={text.replace(' ', '%20')}")

    if reply.status != 200:
        refused(reply, 422, "INVALID_PAYLOAD", "cursor")


@pytest.mark.parametrize(
    "name", ["0", "-1", "abc", "1e3", "%00", "٣", "9" * 19, "9" * 30, "1" * 5_000, "..", "%2e%2e%2fme"]
)
@pytest.mark.parametrize("path", ["conversations/{}", "conversations/{}/messages", "messages/{}", "users/{}"])
def test_malformed_id_is_not_found(server: Server, path: str, name: str) -> None:
    reply = Api(server, someone()).get(path.format(name.encode().decode() if name.isascii() else "%D9%A3"))

    assert (reply.status, reply.code) in [(404, "NOT_FOUND"), (403, "NOT_A_MEMBER"), (404, "")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "direct"}, "userId"),
        ({"kind": "direct", "userId": 5}, "userId"),
        ({"kind": "direct", "userId": "x"}, "userId"),
        ({"kind": "group"}, "name"),
        ({"kind": "group", "name": " "}, "name"),
        ({"kind": "group", "name": "a\0"}, "name"),
        ({"kind": "group", "name": "x" * 101}, "name"),
        ({"kind": "group", "name": 1}, "name"),
        ({"kind": "group", "name": "a", "memberIds": ["x"]}, "memberIds"),
        ({"kind": "group", "name": "a", "memberIds": "12"}, "memberIds"),
        ({"kind": "secret"}, "kind"),
        ({"kind": None}, "kind"),
        ({}, "kind"),
    ],
    ids=str,
)
def test_invalid_conversation_body_is_refused(server: Server, body: dict[str, Any], field: str) -> None:
    api = Api(server, someone())

    refused(api.post("conversations", body), 422, "INVALID_PAYLOAD", field)
    assert api.get("conversations").body["results"] == []


@pytest.mark.parametrize("body", [{"chats": []}, {"chats": {"x": {"seq": 1}}}, {"chats": {"1": 1}}, {"chats": {"1": {"seq": -1}}}, {"chats": {"1": {}}}, {}, {"limit": 0, "chats": {}}, {"limit": 501, "chats": {}}, {"chatId": 1}], ids=str)  # fmt: skip
def test_invalid_sync_request_is_refused(server: Server, body: dict[str, Any]) -> None:
    reply = Api(server, someone()).post("sync", body)

    refused(reply, 422, "INVALID_PAYLOAD", *reply.fields)
    assert reply.fields


@pytest.mark.parametrize("key", ["", "no uuid", "x" * 10_000, "\xff"])
def test_idempotency_key_must_be_a_uuid(chat_of: tuple[Api, int], key: str) -> None:
    api, chat = chat_of

    reply = api("POST", SENDS.format(chat=chat), {"content": "a"}, headers={"Idempotency-Key": key})

    if key:
        refused(reply, 422, "INVALID_PAYLOAD", *reply.fields)
    else:
        assert reply.status == 201, "an empty header is none"


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Basic eDp5", "Bearer " + "x" * 5_000]
)
def test_invalid_token_returns_401_with_www_authenticate(server: Server, authorization: str) -> None:
    reply = Api(server, headers={"Authorization": authorization}).get("me")

    refused(reply, 401, "UNAUTHORIZED")
    assert reply.headers["www-authenticate"].startswith("Bearer")


def test_unknown_route_returns_404_and_wrong_method_405(server: Server) -> None:
    api = Api(server, someone())

    refused(api.get("nowhere"), 404, "NOT_FOUND")
    refused(api("DELETE", "conversations"), 405, "BAD_FRAME")


# --- the web session --------------------------------------------------------------------------------------------------


def web_session(person: Someone) -> str:
    """Sign a person in as the web's forms do; returns the cookie's value."""
    session: SessionBase = import_string(settings.SESSION_ENGINE + ".SessionStore")()
    user = User.objects.get(id=person.id)
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    assert session.session_key
    return session.session_key


def by_cookie(server: Server, person: Someone, **headers: str) -> Api:
    token = uuid4().hex
    cookies: SimpleCookie = SimpleCookie({settings.SESSION_COOKIE_NAME: web_session(person), "csrftoken": token})
    named = {name.replace("_", "-"): value.format(csrf=token) for name, value in headers.items()}
    return Api(server, headers={"Cookie": "; ".join(f"{m.key}={m.value}" for m in cookies.values()), **named})


def test_web_session_needs_a_csrf_token_to_write(server: Server) -> None:
    ada = someone()
    chat = group(ada)

    without = by_cookie(server, ada)
    wrong = by_cookie(server, ada, X_CSRFToken="x" * 32)
    right = by_cookie(server, ada, X_CSRFToken="{csrf}")

    assert without.get(f"conversations/{chat}").status == 200
    refused(without.say(chat), 403, "FORBIDDEN")
    refused(wrong.say(chat), 403, "FORBIDDEN")
    assert rows.counters(chat)[0] == 0
    assert right.say(chat).status == 201


def test_cross_origin_web_session_cannot_write(server: Server) -> None:
    ada = someone()
    chat = group(ada)

    stolen = by_cookie(server, ada, X_CSRFToken="{csrf}", Origin="https://evil.example")

    refused(stolen.say(chat), 403, "FORBIDDEN")
    assert rows.counters(chat)[0] == 0


def test_request_after_a_refused_one_on_the_same_connection_succeeds(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    api = Api(server, ada)
    for raw in UNREADABLE.values():
        api("POST", SENDS.format(chat=chat), raw=raw)

    say(bob, chat)
    assert api.say(chat).body["message"]["seq"] == 2
