"""Files over REST, on a real server: uploads whole and in pieces, through broken connections; links, headers, ranges."""

import json
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.conf import settings

from chat import links
from chat.ids import AttachmentId
from chat.messages import deletions
from chat.models import Attachment
from tests.chat.rest import WAIT_SECONDS, Api, Reply
from tests.chat.sessions import at_once
from tests.chat.test_rest_bad_input import web_session
from tests.chat.uploads import TEXT, examined, png, ready, stored
from tests.factories import Someone, direct, draft, someone, store
from tests.servers import Server

BOUNDARY = "a-boundary"
WHOLE = bytes(range(256)) * 8192


def form(body: bytes, name: str = "a.txt", mime_type: str = "text/plain", field: str = "file") -> dict[str, Any]:
    """Return what a browser sends of a form with one file."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: {mime_type}\r\n\r\n'
    return {
        "raw": head.encode() + body + f"\r\n--{BOUNDARY}--\r\n".encode(),
        "headers": {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    }


def send(api: Api, body: bytes = TEXT, **more: Any) -> Reply:
    return api("POST", "attachments", **form(body, **more))


def put(api: Api, id_: str, whole: bytes, start: int, end: int) -> Reply:
    headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(whole)}", "Content-Type": "application/octet-stream"}
    return api("PUT", f"attachments/{id_}/content", raw=whole[start:end], headers=headers)


def fetch(server: Server, path: str, headers: Mapping[str, str] = {}) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and bytes of an address, asked for without any credential."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=WAIT_SECONDS)
    try:
        connection.request("GET", path, headers=dict(headers))
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def link_of(row: Attachment, kind: str = links.FILE) -> str:
    return links.link(AttachmentId(row.id), kind)


@pytest.fixture
def ada(server: Server) -> tuple[Someone, Api]:
    person = someone()
    return person, Api(server, person)


def test_file_is_uploaded_scanned_attached_and_downloaded(server: Server, ada: tuple[Someone, Api]) -> None:
    person, api = ada
    bob = someone()
    chat = direct(person, bob)

    made = send(api, name="../notes.txt")
    row = Attachment.objects.get(id=made.body["id"])
    sent = api.say(chat, attachments=[made.body["id"]])
    examined(row)
    shown = Api(server, bob).get(f"messages/{sent.body['message']['id']}").body["attachments"][0]

    assert made.status == 201
    assert (made.body["status"], made.body["name"], made.body["size"]) == ("scanning", "notes.txt", len(TEXT))
    assert made.body["url"] is None
    assert sent.status == 201
    status, headers, body = fetch(server, shown["url"])
    assert (status, body, headers["content-length"]) == (200, TEXT, str(len(TEXT)))


def test_chunked_upload_continues_after_a_lost_connection(server: Server, ada: tuple[Someone, Api]) -> None:
    _, api = ada
    made = api.post("attachments", {"name": "film.bin", "size": len(WHOLE), "mimeType": "application/octet-stream"})
    id_, step = made.body["id"], 500_000
    assert made.status == 201 and made.body["received"] == 0 and made.body["chunkSize"] >= step
    assert put(api, id_, WHOLE, 0, step).body["received"] == step

    connection = HTTPConnection("127.0.0.1", server.port, timeout=WAIT_SECONDS)
    connection.putrequest("PUT", f"/api/v1/attachments/{id_}/content")
    for name, value in {**api._headers, "Content-Range": f"bytes {step}-{2 * step - 1}/{len(WHOLE)}"}.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(step))
    connection.endheaders(WHOLE[step : step + 1000])
    connection.close()

    received = api.get(f"attachments/{id_}").body["received"]
    assert received == step
    while received < len(WHOLE):
        received = put(api, id_, WHOLE, received, min(received + step, len(WHOLE))).body["received"]
    row = examined(Attachment.objects.get(id=id_))
    assert fetch(server, link_of(row))[2] == WHOLE


def test_uvicorn_and_daphne_serve_files_alike(either_server: Server) -> None:
    person = someone()
    api = Api(either_server, person)
    whole = b"\x01\x02\x03" * 300_000

    made = send(api, whole)
    begun = api.post("attachments", {"name": "a", "size": len(whole)})
    for start in range(0, len(whole), 400_000):
        put(api, begun.body["id"], whole, start, min(start + 400_000, len(whole)))
    too_large = send(api, b"x" * 10_600_000)

    assert (too_large.status, too_large.code) == (413, "FRAME_TOO_LARGE")
    for id_ in (made.body["id"], begun.body["id"]):
        link = link_of(examined(Attachment.objects.get(id=id_)))
        assert fetch(either_server, link)[2] == whole
        assert fetch(either_server, link, {"Range": "bytes=3-8"})[::2] == (206, whole[3:9])


def test_misplaced_piece_is_refused_with_the_expected_offset(ada: tuple[Someone, Api]) -> None:
    _, api = ada
    id_ = api.post("attachments", {"name": "a", "size": 1000}).body["id"]
    whole = b"\x01" * 1000
    put(api, id_, whole, 0, 300)

    early, again = put(api, id_, whole, 600, 900), put(api, id_, whole, 0, 300)

    assert (early.status, early.code, early.headers["upload-offset"]) == (409, "VERSION_CONFLICT", "300")
    assert early.fields == ["received"]
    assert (again.status, again.body["received"]) == (200, 300)


def test_concurrent_pieces_are_stored_once(ada: tuple[Someone, Api]) -> None:
    _, api = ada
    id_ = api.post("attachments", {"name": "a", "size": 1000}).body["id"]

    replies = at_once([lambda: put(api, id_, b"\x01" * 1000, 0, 1000)] * 4)

    assert {(reply.status, reply.body["status"]) for reply in replies} == {(200, "scanning")}
    assert len(Attachment.objects.get(id=id_).parts) == 1


@pytest.mark.parametrize(
    "value",
    ["", "bytes 0-9", "bytes 5-4/10", "bytes 0-10/10", "bytes */10", "bytes -1-4/10", "items 0-9/10", "bytes 0-9/11"],
)
def test_invalid_content_range_is_refused(ada: tuple[Someone, Api], value: str) -> None:
    _, api = ada
    id_ = api.post("attachments", {"name": "a", "size": 10}).body["id"]

    reply = api("PUT", f"attachments/{id_}/content", raw=b"x" * 10, headers={"Content-Range": value})

    assert (reply.status, reply.code, reply.fields) == (422, "INVALID_PAYLOAD", ["Content-Range"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "a"}, "size"),
        ({"name": "a", "size": 0}, "size"),
        ({"name": "a", "size": "1"}, "size"),
        ({"name": "a", "size": 1, "mimeType": 1}, "mimeType"),
        ({"name": "a", "size": 1, "replaces": "x"}, "replaces"),
        ({"name": "x" * 1001, "size": 1}, "name"),
    ],
    ids=str,
)
def test_invalid_field_is_named_in_the_error(ada: tuple[Someone, Api], body: dict[str, Any], field: str) -> None:
    reply = ada[1].post("attachments", body)

    assert (reply.status, reply.code, reply.fields) == (422, "INVALID_PAYLOAD", [field])


def test_refused_upload_leaves_nothing(ada: tuple[Someone, Api]) -> None:
    person, api = ada

    lie = send(api, b"<html><script>", name="a.png", mime_type="image/png")
    program = send(api, b"MZ\x90\0" + b"\0" * 100, name="a.exe", mime_type="application/octet-stream")
    large = api.post("attachments", {"name": "a", "size": 2**40})
    empty, nothing = send(api, b""), send(api, field="other")

    assert [(reply.status, reply.code) for reply in (lie, program, large)] == [(422, "ATTACHMENT_REJECTED")] * 3
    assert (empty.status, nothing.status, nothing.fields) == (422, 422, ["file"])
    assert not Attachment.objects.filter(uploader_id=person.id).exists()


def test_oversized_body_is_refused_before_it_is_read(server: Server, ada: tuple[Someone, Api]) -> None:
    _, api = ada

    large, elsewhere = send(api, b"x" * 10_600_000), api.post("sync", {"chats": {}, "more": "x" * 2**20})
    nobody = send(Api(server), b"x" * 10_600_000)

    assert [(r.status, r.code) for r in (large, elsewhere)] == [(413, "FRAME_TOO_LARGE")] * 2
    assert (nobody.status, nobody.code) == (401, "UNAUTHORIZED")
    assert send(api, b"x" * 5_000_000).status == 201


def test_file_above_djangos_memory_limit_is_uploaded(ada: tuple[Someone, Api]) -> None:
    reply = send(ada[1], b"\x02" * 3_000_000)

    assert (reply.status, reply.body["size"]) == (201, 3_000_000)
    assert stored(Attachment.objects.get(id=reply.body["id"]).parts[0]) == b"\x02" * 3_000_000


def test_browser_uploads_with_its_session_and_csrf_token(server: Server) -> None:
    person, token = someone(), "t" * 32
    cookie = f"{settings.SESSION_COOKIE_NAME}={web_session(person)}; csrftoken={token}"

    with_token = Api(server, headers={"Cookie": cookie, "X-CSRFToken": token})
    without = Api(server, headers={"Cookie": cookie})

    assert send(with_token).status == send(with_token, b"\x02" * 3_000_000).status == 201
    assert (send(without).status, send(without).code) == (403, "FORBIDDEN")
    made = with_token.post("attachments", {"name": "a", "size": 4})
    assert put(with_token, made.body["id"], b"\x01\x02\x03\x04", 0, 4).body["status"] == "scanning"


# --- links ------------------------------------------------------------------------------------------------------------


def test_file_opens_only_by_its_own_link(server: Server) -> None:
    ada = someone()
    row, other = ready(ada, png(), name="a.png"), ready(ada, png(), name="b.png")
    link = link_of(row)
    named = {key: value[0] for key, value in parse_qs(urlsplit(link).query).items()}

    def altered(id_: int = row.id, **values: str) -> str:
        return f"/api/v1/attachments/{id_}/content?{urlencode({**named, **values})}"

    assert fetch(server, link)[0] == fetch(server, altered())[0] == 200
    forged = [
        altered(other.id), altered(kind="thumbnail"), altered(kind="all"), altered(until=str(int(named["until"]) + 60)),
        altered(until="9" * 30), altered(until="x"), altered(signature="0" * 64), altered(signature=""),
        f"/api/v1/attachments/{row.id}/content", f"/api/v1/attachments/1/content?{urlencode(named)}",
    ]  # fmt: skip
    for path in forged:
        status, _, body = fetch(server, path)
        assert (status, json.loads(body)["code"]) == (403, "FORBIDDEN"), path


def test_file_link_expires(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ready(someone())
    now = time.time()
    for ago, status in ((140, 200), (301, 403)):
        monkeypatch.setattr(time, "time", lambda ago=ago: now - ago)
        old = link_of(row)
        monkeypatch.undo()
        assert fetch(server, old)[0] == status


def test_link_lifetime_is_between_half_and_all_of_its_limit() -> None:
    until = int(parse_qs(urlsplit(links.link(AttachmentId(1), links.FILE)).query)["until"][0])

    assert 149 <= until - time.time() <= 300


def test_link_before_the_verdict_returns_404(server: Server, ada: tuple[Someone, Api]) -> None:
    row = Attachment.objects.get(id=send(ada[1]).body["id"])

    assert fetch(server, link_of(row))[0] == 404
    Attachment.objects.filter(id=row.id).update(status="rejected")
    assert fetch(server, link_of(row))[0] == fetch(server, link_of(row, links.THUMBNAIL))[0] == 404


@pytest.mark.parametrize(
    ("body", "name", "served_as", "shown"),
    [
        (png(), "a.png", "image/png", True),
        (b"<html><script>alert(1)</script>", "a.html", "application/octet-stream", False),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "a.svg", "application/octet-stream", False),
        (b"%PDF-1.7\n\xe2\xe3", "ü.pdf", "application/octet-stream", False),
    ],
    ids=["png", "html", "svg", "pdf"],
)
def test_browser_executes_no_served_file(server: Server, body: bytes, name: str, served_as: str, shown: bool) -> None:
    row = ready(someone(), body, name=name)

    _, headers, _ = fetch(server, link_of(row))

    assert headers["content-type"] == served_as
    assert headers["content-disposition"].startswith("inline" if shown else "attachment")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert headers["cache-control"].startswith("private, max-age=")
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "set-cookie" not in headers


def test_thumbnail_has_its_own_link(server: Server) -> None:
    row = ready(someone(), png(), name="a.png")

    status, headers, body = fetch(server, link_of(row, links.THUMBNAIL))

    assert (status, headers["content-type"], body[8:12]) == (200, "image/webp", b"WEBP")


def test_file_links_of_a_deleted_message_stop_working(server: Server) -> None:
    ada, bob = someone(), someone()
    row = ready(ada, png(), name="a.png")
    (message,) = store([draft(ada, direct(ada, bob), "", content_type="image", attachments=[str(row.id)])])
    addresses = [link_of(row, kind) for kind in (links.FILE, links.THUMBNAIL)]
    assert [fetch(server, link)[0] for link in addresses] == [200, 200]

    deletions.delete(ada.id, message.id)

    assert [fetch(server, link)[0] for link in addresses] == [404, 404]


@pytest.mark.parametrize(
    ("asked", "status", "span"),
    [
        ("bytes=0-99", 206, (0, 100)),
        ("bytes=1000-", 206, (1000, None)),
        ("bytes=-500", 206, (-500, None)),
        ("bytes=5-999999999", 206, (5, None)),
        ("bytes=0-0", 206, (0, 1)),
        ("bytes=-", 200, (0, None)),
        ("bytes=0-1,5-6", 200, (0, None)),
        ("lines=0-1", 200, (0, None)),
    ],
)
def test_range_request_returns_206(server: Server, asked: str, status: int, span: tuple[int, int | None]) -> None:
    whole = bytes(range(256)) * 4000
    row = ready(someone(), whole, name="a.bin")

    got, headers, body = fetch(server, link_of(row), {"Range": asked})

    assert (got, body) == (status, whole[span[0] : span[1]])
    assert headers["accept-ranges"] == "bytes" and headers["content-length"] == str(len(body))
    if status == 206:
        start = span[0] % len(whole)
        assert headers["content-range"] == f"bytes {start}-{start + len(body) - 1}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=18-", "bytes=99-100", "bytes=5-4", "bytes=-0"])
def test_range_beyond_the_end_returns_416(server: Server, asked: str) -> None:
    row = ready(someone())
    assert len(TEXT) == 18

    status, headers, _ = fetch(server, link_of(row), {"Range": asked})

    assert (status, headers["content-range"]) == (416, "bytes */18")


def test_if_range_and_if_none_match_are_honoured(server: Server) -> None:
    row = ready(someone())
    etag = fetch(server, link_of(row))[1]["etag"]

    assert fetch(server, link_of(row), {"Range": "bytes=0-1", "If-Range": '"other"'})[0] == 200
    assert fetch(server, link_of(row), {"Range": "bytes=0-1", "If-Range": etag})[0] == 206
    assert fetch(server, link_of(row), {"If-None-Match": etag})[0] == 304


def test_contract_says_whether_files_are_scanned(server: Server) -> None:
    assert Api(server).get("contract").body["filesScanned"] is False
