"""deploy/nginx.conf with other ports and files: pages over TLS, sockets, and no secret in its log."""

import datetime
import http.client
import json
import secrets
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError

import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from accounts import tickets, users
from gateway.frames import Session
from tests.clients import Client
from tests.factories import Someone, direct, someone
from tests.servers import ROOT, free_port, serve

NAME = "chat.example.org"
WAIT_SECONDS = 10
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed here")


class Proxy(NamedTuple):
    """A running nginx: its TLS and plain ports, its certificate's context and its folder for logs."""

    port: int
    plain: int
    trust: ssl.SSLContext
    folder: Path

    def logged(self) -> str:
        """Return the text of all its logs."""
        return "".join(file.read_text() for file in self.folder.glob("*.log"))

    def get(self, path: str) -> tuple[int, str]:
        request = urllib.request.Request(f"https://localhost:{self.port}{path}", headers={"Host": NAME})
        try:
            with urllib.request.urlopen(request, context=self.trust, timeout=WAIT_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as refusal:
            return refusal.code, refusal.read().decode()


@pytest.fixture(scope="module")
def proxy(open_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """nginx with the shipped file in front of a web process outside the demo."""
    folder = tmp_path_factory.mktemp("nginx")
    settings_outside_demo: dict[str, Any] = {
        "PARLEY_DEMO": "0", "PARLEY_SECRET_KEY": secrets.token_urlsafe(48), "PARLEY_HOSTS": f"{NAME},127.0.0.1",
        "PARLEY_BEHIND_PROXY": "1", "PARLEY_PROXIES": "127.0.0.1",
    }  # fmt: skip
    with (
        serve(settings.DATABASES["default"]["NAME"], **settings_outside_demo) as parley,
        running(folder, parley.port) as nginx,
    ):
        yield nginx


@contextmanager
def running(folder: Path, parley: int) -> Iterator[Proxy]:
    """Run nginx with the shipped file in front of Parley's port; all its files are in `folder`."""
    port, plain = free_port(), free_port()
    certificate = self_signed(folder)
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, tls=port, plain=plain, parley=parley))
    process = subprocess.Popen([str(NGINX), "-c", str(file), "-p", str(folder), "-e", str(folder / "error.log")])
    try:
        nginx = Proxy(port, plain, ssl.create_default_context(cafile=certificate), folder)
        nginx.trust.check_hostname = False
        _wait(nginx, process)
        yield nginx
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


def configuration(folder: Path, *, tls: int, plain: int, parley: int) -> str:
    """Return a complete configuration around the shipped file, with this test's ports and files."""
    shipped = (ROOT / "deploy" / "nginx.conf").read_text()
    for usual, ours in {
        "127.0.0.1:8000;": f"127.0.0.1:{parley};",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{tls} ssl;",
        "/etc/ssl/parley": str(folder / "parley"),
        "/var/log/nginx/": f"{folder}/",
    }.items():
        assert usual in shipped, f"deploy/nginx.conf has no {usual!r} any more: change this test"
        shipped = shipped.replace(usual, ours)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    usual = f"access_log {folder}/access.log combined;\n"
    return f"daemon off;\npid {folder}/pid;\nevents {{}}\nhttp {{\n{usual}{paths}{shipped}}}\n"


def self_signed(folder: Path) -> Path:
    """Write a key and a certificate for NAME; return the file of the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    built = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1)
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "parley.key").write_bytes(private)
    (folder / "parley.crt").write_bytes(built.sign(key, hashes.SHA256()).public_bytes(pem))
    return folder / "parley.crt"


def _wait(proxy: Proxy, process: "subprocess.Popen[bytes]") -> None:
    """Poll until nginx answers; there is no event to wait for across processes."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            proxy.get("/healthz")
            return
        except (URLError, OSError):
            time.sleep(0.05)
    raise AssertionError("nginx did not answer")


async def connect_through(proxy: Proxy, person: Someone) -> Client:
    """Open a socket through nginx with a ticket in its URL, as a browser of another origin does."""
    ticket = tickets.issue(Session(person.id, person.device_id, None)).ticket
    socket = await websockets.connect(
        f"wss://{NAME}:{proxy.port}/ws/v1?ticket={ticket}", ssl=proxy.trust, host="127.0.0.1", port=proxy.port
    )
    client = Client(socket)
    client.hello = await client.expect("hello")
    return client


def test_nginx_serves_pages_over_tls_and_hides_metrics_and_readiness(proxy: Proxy) -> None:
    status, page = proxy.get("/accounts/login/")

    assert status == 200
    assert "<form" in page
    assert proxy.get("/static/css/base.css")[0] == 200
    assert [proxy.get(path)[0] for path in ("/metrics", "/readyz")] == [404, 404]


def test_nginx_passes_an_upload_chunk(proxy: Proxy) -> None:
    headers = {"Host": NAME, "Content-Type": "application/json"}

    def send(method: str, path: str, body: bytes, **more: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        address = f"https://localhost:{proxy.port}/api/v1/{path}"
        request = urllib.request.Request(address, body, {**headers, **named}, method=method)
        try:
            with urllib.request.urlopen(request, context=proxy.trust, timeout=WAIT_SECONDS) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as refusal:
            return refusal.code, None

    # This server signs tokens with another secret than the tests.
    email, password = f"{secrets.token_hex(8)}@example.org", "quiet-Harbour-lantern"
    users.register(display_name="Ada", email=email, password=password)
    signed_in = send("POST", "auth/token", json.dumps({"email": email, "password": password}).encode())[1]
    headers["Authorization"] = f"Bearer {signed_in['access']}"
    piece = b"\x01" * (4 * 2**20)
    begun = send("POST", "attachments", json.dumps({"name": "a", "size": len(piece)}).encode())[1]
    place = f"bytes 0-{len(piece) - 1}/{len(piece)}"

    assert send("PUT", f"attachments/{begun['id']}/content", piece, Content_Range=place)[0] == 200


async def test_nginx_proxies_messages_and_logs_no_ticket(proxy: Proxy) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = direct(ada, bob)

    a, b = await connect_through(proxy, ada), await connect_through(proxy, bob)
    ack = await a.say(chat, "through nginx")
    new = await b.expect("message.new")
    await a.socket.close()
    await b.socket.close()

    assert new["message"]["id"] == ack["messageId"]
    logged = proxy.logged()
    assert "/accounts/login/" in logged or "/healthz" in logged
    assert "ticket" not in logged


def test_nginx_logs_no_key_of_a_mail(proxy: Proxy) -> None:
    for path in ("/accounts/password/reset/key/1-abc123-secretkey/", "/accounts/confirm-email/secretkey:1:2/"):
        with suppress(HTTPError):
            proxy.get(path)

    logged = proxy.logged()
    assert "/accounts/password/reset/key/[removed]" in logged
    assert "/accounts/confirm-email/[removed]" in logged
    assert "secretkey" not in logged


def test_nginx_logs_no_ticket_of_failed_or_plain_http_requests(tmp_path: Path) -> None:
    with running(tmp_path, free_port()) as alone:
        assert alone.get("/ws/v1?ticket=secret")[0] == 502
        assert alone.get("/api/v1/attachments/1/content?signature=secret")[0] == 502
        asked = http.client.HTTPConnection("127.0.0.1", alone.plain, timeout=WAIT_SECONDS)
        asked.request("GET", "/ws/v1?ticket=secret", headers={"Host": NAME})
        assert asked.getresponse().status == 301
        asked.close()
    assert alone.logged().count("GET /ws/v1 ") == 2
    assert "secret" not in alone.logged()
