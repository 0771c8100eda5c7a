"""One-time tickets for the socket."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts import tickets
from gateway import redis_clients
from gateway.errors import Overloaded
from gateway.frames import Session
from gateway.ids import DeviceId, UserId

SESSION = Session(UserId(7), DeviceId(8), 1_900_000_000.5)


def test_ticket_is_redeemed_for_its_session_once() -> None:
    ticket = tickets.issue(SESSION).ticket
    assert tickets.redeem(ticket) == SESSION
    with pytest.raises(tickets.WrongTicket):
        tickets.redeem(ticket)


def test_ticket_of_a_web_session_has_no_session_expiry() -> None:
    session = Session(UserId(7), DeviceId(8), None)
    assert tickets.redeem(tickets.issue(session).ticket) == session


def test_concurrent_redemption_of_a_ticket_succeeds_once() -> None:
    ticket = tickets.issue(SESSION).ticket
    start = threading.Barrier(8)

    def redeem(_: int) -> bool:
        start.wait()
        try:
            return tickets.redeem(ticket) == SESSION
        except tickets.WrongTicket:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(redeem, range(8))) == 1


def test_ticket_expires_after_the_ws_ticket_limit() -> None:
    ticket = tickets.issue(SESSION).ticket
    store = redis_clients.thread_client()
    left = store.pttl(tickets._key(ticket))
    assert (settings.LIMITS.ws_ticket - 2) * 1000 < left <= settings.LIMITS.ws_ticket * 1000
    store.pexpireat(tickets._key(ticket), 1)
    with pytest.raises(tickets.WrongTicket):
        tickets.redeem(ticket)


def test_redis_stores_only_hashes_of_tickets() -> None:
    ticket = tickets.issue(SESSION).ticket.encode()
    store = redis_clients.thread_client()
    held = [(key, store.get(key)) for key in store.scan_iter("ws-ticket:*")]
    assert held
    assert all(ticket not in key and ticket not in (value or b"") for key, value in held)


@pytest.mark.parametrize("ticket", ["", "unknown", "\0", "\ud800", "x" * 100_000])
def test_unknown_ticket_is_refused(ticket: str) -> None:
    with pytest.raises(tickets.WrongTicket):
        tickets.redeem(ticket)


@pytest.mark.parametrize("call", [lambda: tickets.issue(SESSION), lambda: tickets.redeem("x")])
def test_tickets_are_refused_as_overloaded_without_redis(
    call: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(tickets, "thread_client", lambda: nowhere)
    with pytest.raises(Overloaded):
        call()
