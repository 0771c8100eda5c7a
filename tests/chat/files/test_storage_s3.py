"""Files in a bucket, against a server that speaks S3: stored, read back, deleted, and handed out by the bucket's own links."""

import io
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from django.conf import settings
from django.test import override_settings
from moto.server import ThreadedMotoServer

from chat import links
from chat.files import downloads, expiry, storage, uploads
from chat.ids import AttachmentId
from chat.models import Attachment
from config.settings import bucket_origin, file_storage
from tests.chat.uploads import TEXT, begun, examined, piece, png, ready, stored, upload
from tests.factories import someone

BUCKET, REGION = "parley-files", "us-east-1"


@pytest.fixture(scope="module")
def bucket(open_database: None) -> Iterator[str]:
    """An empty bucket as the storage of files; returns its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=endpoint, region_name=REGION).create_bucket(Bucket=BUCKET)
        storage = file_storage(Path("/nowhere"), bucket=BUCKET, endpoint=endpoint, region=REGION)
        with override_settings(STORAGES={**settings.STORAGES, "attachments": storage}):
            yield endpoint
    server.stop()


def followed(row: Attachment, kind: str = links.FILE) -> Any:
    """Return the redirect that a link of ours answers."""
    named = {key: value[0] for key, value in parse_qs(urlsplit(links.link(AttachmentId(row.id), kind)).query).items()}
    return downloads.response(AttachmentId(row.id), named["kind"], named["until"], named["signature"], headers={})


def test_upload_through_a_bucket_removes_its_parts(bucket: str) -> None:
    ada, whole = someone(), bytes(range(256)) * 2000
    row = begun(ada, len(whole))
    for start in range(0, len(whole), 200_000):
        row = piece(ada, row, whole, start, min(start + 200_000, len(whole)))

    done = examined(row)

    assert (done.status, stored(done.key)) == ("ready", whole)
    assert len(row.parts) == 3 and all(stored(part) is None for part in row.parts)
    assert storage.local(done.key) is None


def test_link_redirects_to_a_signed_bucket_url_with_safe_headers(bucket: str) -> None:
    page, picture = ready(someone(), b"<html><script>"), ready(someone(), png(), name="a.png")

    for row, type_, shown in ((page, "application/octet-stream", "attachment"), (picture, "image/png", "inline")):
        redirect = followed(row)
        assert redirect.status_code == 302 and redirect["Location"].startswith(f"{bucket}/")
        assert "Signature" in redirect["Location"] and 0 < int(_named(redirect, "X-Amz-Expires")) <= 300
        with urllib.request.urlopen(redirect["Location"]) as answer:
            assert answer.headers["Content-Type"] == type_
            assert answer.headers["Content-Disposition"].startswith(shown)
            assert answer.read() == stored(row.key)
    with urllib.request.urlopen(followed(picture, links.THUMBNAIL)["Location"]) as answer:
        assert answer.read()[8:12] == b"WEBP"


def _named(redirect: Any, name: str) -> str:
    return str(parse_qs(urlsplit(redirect["Location"]).query)[name][0])


def test_expired_file_is_removed_from_the_bucket(bucket: str) -> None:
    ada = someone()
    row, other = ready(ada), upload(ada)
    location = followed(row)["Location"]

    uploads.cancel(ada.id, AttachmentId(row.id))
    uploads.cancel(ada.id, AttachmentId(other.id))
    expiry.sweep()

    assert stored(row.key) is None and stored(other.parts[0]) is None
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(location)


def test_storage_key_is_never_overwritten(bucket: str) -> None:
    key = storage.new_key()
    storage.save(key, io.BytesIO(TEXT))

    with pytest.raises(FileExistsError):
        storage.save(key, io.BytesIO(b"other"))
    assert stored(key) == TEXT


def test_csp_allows_the_storage_bucket_only() -> None:
    assert bucket_origin("", "") == []
    assert bucket_origin("b", "https://s3.example.org/x") == ["https://s3.example.org"]
    assert bucket_origin("b", "") == ["https://*.amazonaws.com"]
