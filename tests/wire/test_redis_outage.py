"""An outage of Redis: messages are stored, acked and delivered locally; the others arrive after its return."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import redis
from django.conf import settings

from accounts import devices
from chat.models import Message
from config.embedded.redis import Redis
from tests.clients import connected
from tests.factories import another_device, direct, group, someone
from tests.servers import Server, serve
from tests.wire.conftest import STRICT

RECHECK_SECONDS = 20
# channels_redis writes a traceback of its own; for us an outage is a warning.
OWN_ERRORS = re.compile(r"(?:ERROR|CRITICAL)\s+(?:gateway|chat|accounts|receipts|presence|asyncio)\S*.*")


class Cut(NamedTuple):
    """Two processes, and the Redis between them."""

    one: Server
    other: Server
    redis: Redis


@pytest.fixture
def cut(open_database: None, tmp_path: Path) -> Iterator[Cut]:
    """Two processes with real limits for strangers and urgent messages, on a Redis of their own."""
    between = Redis(tmp_path)
    between.start()
    database = settings.DATABASES["default"]["NAME"]
    own = {
        "REDIS_URL": between.url,
        **{name: value for name, value in STRICT.items() if "STRANGER" in name or "URGENT" in name},
    }
    try:
        with serve(database, **own) as one, serve(database, **own) as other:  # type: ignore[arg-type]
            yield Cut(one, other, between)
    finally:
        between.stop()


async def test_messages_survive_a_redis_outage_and_reach_the_other_process_afterwards(cut: Cut) -> None:
    ada, bob, cay, dan = someone(), someone(), someone(), someone()
    chat, stranger = group(ada, bob, cay), direct(ada, dan)
    lost = another_device(cay)
    async with (
        connected(cut.one, ada) as a,
        connected(cut.one, bob) as near,
        connected(cut.other, cay) as far,
        connected(cut.other, lost) as signed_out,
    ):
        await a.say(chat, "before")
        assert [m["seq"] for m in await far.news(1)] == [1]
        assert [m["seq"] for m in await near.news(1)] == [1]

        cut.redis.stop()
        devices.revoke(lost.id, lost.device_id)
        for number in range(50):
            assert (await a.say(chat, f"{number}"))["status"] == "ok"
        assert [m["seq"] for m in await near.news(50)] == list(range(2, 52))
        assert (await far.say(chat, "from afar"))["seq"] == 52
        urgent = await a.say(chat, "now!", priority="urgent")
        assert urgent["error"]["code"] == "URGENT_LIMIT"
        unknown = await a.say(stranger, "hello")
        assert unknown["error"]["code"] == "RATE_LIMITED"
        async with connected(cut.one, ada) as newcomer:
            assert set(newcomer.hello["degraded"]) >= {"typing"}
        assert await signed_out.closed(within=RECHECK_SECONDS) == 4401

        cut.redis.start()
        assert [m["seq"] for m in await far.news(50)] == list(range(2, 52))
        assert [m["seq"] for m in await near.news(1)] == [52]
        assert (await a.say(chat, "after"))["seq"] == 53
        for client in (near, far):
            assert [m["content"] for m in await client.news(1)] == ["after"]
            assert [f for f in await client.settled() if f["type"] == "message.new"] == []
        assert (await a.say(stranger, "hello"))["status"] == "ok"
    assert Message.objects.filter(conversation_id=chat).count() == 53
    for server in (cut.one, cut.other):
        assert OWN_ERRORS.findall(server.text()) == []


async def test_pause_of_the_subscription_is_detected_and_recovered(cut: Cut) -> None:
    """Pub/sub silently loses packets while a subscription is broken; the next packet number reveals it."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    raw = redis.Redis.from_url(cut.redis.url)
    async with connected(cut.one, ada) as a, connected(cut.other, bob) as b:
        assert (await b.say(chat, "hello"))["status"] == "ok"
        await a.news(1)
        for number in range(30):
            raw.client_kill_filter(_type="pubsub")
            assert (await a.say(chat, f"{number}"))["status"] == "ok"
        assert [m["seq"] for m in await b.news(30)] == list(range(2, 32))
        assert [f for f in await b.settled() if f["type"] == "message.new"] == []
    raw.close()
