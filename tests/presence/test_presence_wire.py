"""Presence over the wire, through two processes: subscriptions, visibility, settings and blocks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from accounts import contacts
from accounts.models import Device
from chat.conversations import members
from config.embedded.redis import Redis
from presence import last_seen
from tests.chat.rest import Api
from tests.clients import Client, Frame, connected, until
from tests.factories import Someone, another_device, crowd, direct, group, say, say_many, someone
from tests.presence.conftest import BRISK, Pair
from tests.servers import Server, serve


async def subscribe(client: Client, *people: Someone) -> list[Frame]:
    """Subscribe and return the states of the ack."""
    ack = await client.call("presence.subscribe", {"userIds": [str(person.id) for person in people]})
    assert ack["status"] == "ok", ack
    return list(ack["presence"])


async def expect_status(client: Client, person: Someone, status: str) -> Frame:
    """Wait until a client receives a state of a user, and return that change."""

    def matches(payload: Frame) -> bool:
        return any(c["userId"] == str(person.id) and c["status"] == status for c in payload["changes"])

    payload = await client.expect("presence.changed", matches)
    return next(change for change in payload["changes"] if change["userId"] == str(person.id))


def read_statuses(server: Server, viewer: Someone, *people: Someone) -> list[str]:
    ids = ",".join(str(person.id) for person in people)
    reply = Api(server, viewer).get(f"presence?ids={ids}")
    assert reply.status == 200, reply
    return [state["status"] for state in reply.body["results"]]


async def wait_for_status(server: Server, viewer: Someone, person: Someone, status: str = "available") -> None:
    await until(lambda: read_statuses(server, viewer, person) == [status])


async def test_subscriber_receives_changes_from_another_process(pair: Pair) -> None:
    ada, bob, cay = someone(), someone(), someone()
    group(ada, bob, cay)
    async with connected(pair.one, bob) as b, connected(pair.one, cay) as bystander:
        assert await subscribe(b, ada) == [{"userId": str(ada.id), "status": "offline"}]
        async with connected(pair.other, ada) as a:
            assert await expect_status(b, ada, "available") == {"userId": str(ada.id), "status": "available"}
            for status in ("dnd", "brb", "in_meeting", "away"):
                assert (await a.call("presence.update", {"status": status}))["status"] == "ok"
                await expect_status(b, ada, status)
        gone = await expect_status(b, ada, "offline")
        received = [frame["type"] for frame in await bystander.settled()]

    assert gone["lastSeen"].endswith("Z")
    assert "presence.changed" not in received


async def test_unsubscribed_connection_receives_no_changes(pair: Pair) -> None:
    ada, bob, cay = someone(), someone(), someone()
    group(ada, bob, cay)
    async with connected(pair.one, bob) as b:
        await subscribe(b, ada, cay)
        assert (await b.call("presence.unsubscribe", {"userIds": [str(ada.id), "1"]}))["status"] == "ok"
        async with connected(pair.other, ada):
            await wait_for_status(pair.one, bob, ada)
            async with connected(pair.other, cay):
                await expect_status(b, cay, "available")
        received = [c["userId"] for f in b.frames if f["type"] == "presence.changed" for c in f["payload"]["changes"]]

    assert str(ada.id) not in received


async def test_lost_connection_stays_available_and_a_closed_one_is_offline(pair: Pair) -> None:
    """On both servers: a connection that ends without a close frame counts until its time (K22)."""
    ada, bob, cay, dan = someone(), someone(), someone(), someone()
    group(ada, bob, cay, dan)
    for server, lost, closed in ((pair.one, ada, cay), (pair.other, bob, dan)):
        async with connected(server, dan) as viewer:
            async with connected(server, lost) as gone:
                await subscribe(viewer, lost)
                await wait_for_status(server, dan, lost)
                gone.socket.transport.abort()
                async with connected(server, closed):
                    await wait_for_status(server, dan, closed)
            if closed is not dan:
                await wait_for_status(server, dan, closed, "offline")
            assert read_statuses(server, dan, lost) == ["available"]


async def test_subscription_to_more_than_a_hundred_users_is_refused(pair: Pair) -> None:
    ada = someone()
    ids = [str(person.id) for person in crowd(101)]
    async with connected(pair.one, ada) as client:
        assert len((await client.call("presence.subscribe", {"userIds": ids[:100]}))["presence"]) == 100
        again = await client.call("presence.subscribe", {"userIds": ids[:50]})
        over = await client.call("presence.subscribe", {"userIds": ids[100:]})
        await client.call("presence.unsubscribe", {"userIds": ids[:1]})
        after = await client.call("presence.subscribe", {"userIds": ids[100:]})

    assert (again["status"], over["error"]["code"], over["error"]["field"]) == ("ok", "INVALID_PAYLOAD", "userIds")
    assert after["status"] == "ok"
    assert Api(pair.one, ada).get(f"presence?ids={','.join(ids)}").status == 422


async def test_changes_within_a_batch_arrive_in_one_frame(open_database: None) -> None:
    people = [someone() for _ in range(6)]
    group(*people)
    viewer, *others = people
    database = settings.DATABASES["default"]["NAME"]
    with serve(database, PARLEY_LIMIT_PRESENCE_BATCH="1") as server:
        async with connected(server, viewer) as client:
            await subscribe(client, *others)
            async with connected(server, others[0]), connected(server, others[1]), connected(server, others[2]):
                payload = await client.expect("presence.changed")

    assert {change["userId"] for change in payload["changes"]} == {str(person.id) for person in others[:3]}


async def test_resumed_connection_keeps_its_subscriptions(pair: Pair) -> None:
    ada, bob = someone(), someone()
    group(ada, bob)
    async with connected(pair.one, bob) as first:
        await subscribe(first, ada)
        token = first.hello["resumeToken"]
        first.socket.transport.abort()
    async with connected(pair.other, bob, f"?resume={token}") as b:
        assert b.hello["resumed"] is True
        await expect_status(b, ada, "offline")
        async with connected(pair.one, ada):
            await expect_status(b, ada, "available")


async def test_user_who_hides_presence_is_offline_at_once(pair: Pair) -> None:
    ada, bob = someone(), someone()
    group(ada, bob)
    async with connected(pair.one, bob) as b, connected(pair.other, ada):
        await wait_for_status(pair.one, bob, ada)
        await subscribe(b, ada)
        hide = Api(pair.other, ada)("PATCH", "me/privacy", {"showOnlineStatus": False, "showLastSeen": False})
        assert hide.status == 200
        assert await expect_status(b, ada, "offline") == {"userId": str(ada.id), "status": "offline"}
        assert Api(pair.other, ada)("PATCH", "me/privacy", {"showOnlineStatus": True}).status == 200
        await expect_status(b, ada, "available")


async def test_device_override_hides_presence_of_that_device_alone(pair: Pair) -> None:
    ada, bob = someone(), someone()
    phone = another_device(ada)
    group(ada, bob)
    async with connected(pair.one, bob) as b, connected(pair.other, phone) as p:
        await wait_for_status(pair.one, bob, ada)
        await subscribe(b, ada)
        api = Api(pair.other, ada)
        shut = {"showOnlineStatus": False, "showLastSeen": False}
        api("PATCH", "me/privacy", {"deviceOverrides": {str(phone.device_id): shut}})
        assert await expect_status(b, ada, "offline") == {"userId": str(ada.id), "status": "offline"}
        await p.call("presence.update", {"status": "dnd"})
        async with connected(pair.other, ada):
            await expect_status(b, ada, "available")
        assert "lastSeen" in await expect_status(b, ada, "offline")


@pytest.mark.parametrize("way", ["blocks", "is blocked"])
async def test_block_in_either_direction_looks_offline(pair: Pair, way: str) -> None:
    ada, bob = someone(), someone()
    group(ada, bob)
    async with connected(pair.one, bob) as b, connected(pair.other, ada):
        await wait_for_status(pair.one, bob, ada)
        await subscribe(b, ada)
        by, of = (bob, ada) if way == "blocks" else (ada, bob)
        assert Api(pair.other, by)("PUT", f"me/blocks/{of.id}").status == 204
        assert await expect_status(b, ada, "offline") == {"userId": str(ada.id), "status": "offline"}
        assert Api(pair.other, by)("DELETE", f"me/blocks/{of.id}").status == 204
        await expect_status(b, ada, "available")


async def test_removed_contact_loses_presence_at_once(pair: Pair) -> None:
    ada, bob = someone(), someone()
    async with connected(pair.one, bob) as b, connected(pair.other, ada):
        await subscribe(b, ada)
        assert Api(pair.other, ada)("PUT", f"me/contacts/{bob.id}").status == 204
        await expect_status(b, ada, "available")
        assert Api(pair.other, ada)("DELETE", f"me/contacts/{bob.id}").status == 204
        assert await expect_status(b, ada, "offline") == {"userId": str(ada.id), "status": "offline"}


@pytest.mark.parametrize("goes", ["the one who is watched", "the one who watches", "the whole group"])
async def test_presence_is_hidden_at_once_after_the_last_shared_conversation(pair: Pair, goes: str) -> None:
    owner, ada, bob = someone(), someone(), someone()
    chat = group(owner, ada, bob)
    who, route = {
        "the one who is watched": (ada, f"conversations/{chat}/members/{ada.id}"),
        "the one who watches": (owner, f"conversations/{chat}/members/{bob.id}"),
        "the whole group": (owner, f"conversations/{chat}"),
    }[goes]
    async with connected(pair.one, bob) as b, connected(pair.other, ada):
        await wait_for_status(pair.one, bob, ada)
        await subscribe(b, ada)
        assert Api(pair.other, who)("DELETE", route).status == 204
        assert await expect_status(b, ada, "offline") == {"userId": str(ada.id), "status": "offline"}


async def test_appearing_offline_hides_state_and_last_seen(pair: Pair) -> None:
    ada, bob = someone(), someone()
    group(ada, bob)
    Device.objects.filter(pk=ada.device_id).update(last_shown_at=None)
    async with connected(pair.other, ada) as a:
        await a.call("presence.update", {"status": "offline"})
    await wait_for_status(pair.one, bob, ada, "offline")
    before = Api(pair.one, bob).get(f"presence?ids={ada.id}").body["results"]
    async with connected(pair.other, ada) as a, connected(pair.one, bob) as b:
        states = await subscribe(b, ada)
        await a.call("chat.focus", {"chatId": None})
        received = await b.settled()

    assert states == before
    assert [frame for frame in received if frame["type"] == "presence.changed"] == []


def test_stranger_and_unknown_user_look_offline(pair: Pair) -> None:
    """A user without a relation to the viewer looks offline, and so does an id of no user."""
    ada, eve = someone(), someone()
    reply = Api(pair.one, eve).get(f"presence?ids={ada.id},1")

    assert reply.body["results"] == [{"userId": str(ada.id), "status": "offline"}, {"userId": "1", "status": "offline"}]


async def test_presence_is_visible_to_contacts_and_conversation_partners(pair: Pair) -> None:
    ada, listed, stranger, answered, former, mate = (someone() for _ in range(6))
    contacts.add(ada.id, listed.id)
    contacts.add(stranger.id, ada.id)
    direct(stranger, ada)
    say(stranger, direct(stranger, ada))
    say(ada, direct(answered, ada))
    chat = group(mate, ada, former)
    members.remove(mate.id, chat, former.id)
    async with connected(pair.other, ada):
        await wait_for_status(pair.one, mate, ada)
        seen_by = {
            name: read_statuses(pair.one, viewer, ada)
            for name, viewer in (
                ("on her list", listed), ("has her on the list, and wrote to her", stranger), ("was answered", answered),
                ("was in a group with her", former), ("is in a group with her", mate), ("herself", ada),
            )
        }  # fmt: skip

    assert seen_by == {
        "on her list": ["available"],
        "has her on the list, and wrote to her": ["offline"],
        "was answered": ["available"],
        "was in a group with her": ["offline"],
        "is in a group with her": ["available"],
        "herself": ["available"],
    }


async def test_sync_includes_presence_of_partners_in_chats_of_two(pair: Pair) -> None:
    ada, bob, cay, dan = someone(), someone(), someone(), someone()
    say(ada, direct(ada, bob))
    say(cay, direct(cay, bob))
    group(bob, ada, dan)
    async with connected(pair.other, ada), connected(pair.other, dan), connected(pair.one, bob) as b:
        await wait_for_status(pair.one, bob, ada)
        await wait_for_status(pair.one, bob, dan)
        await b.call("sync.request", {"chats": {}})
        live = (await b.expect("sync.response"))["presence"]
        rest = Api(pair.one, bob).post("sync", {"chats": {}}).body["presence"]

    states = {state["userId"]: state["status"] for state in live}
    assert states == {str(ada.id): "available", str(cay.id): "offline"}
    assert {state["userId"]: state["status"] for state in rest} == states


async def test_last_seen_is_saved_to_the_device_row(pair: Pair) -> None:
    ada, bob = someone(), someone()
    group(ada, bob)
    async with connected(pair.one, ada):
        await wait_for_status(pair.one, bob, ada)
    await wait_for_status(pair.one, bob, ada, "offline")
    before = Device.objects.get(pk=ada.device_id)
    assert before.last_shown_at is None

    assert last_seen.save() >= 1
    after = Device.objects.get(pk=ada.device_id)
    assert after.last_shown_at is not None
    assert after.last_seen_at >= before.last_seen_at
    assert last_seen.save() == 0


# --- Redis unavailable ------------------------------------------------------------------------------------------------


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Redis]:
    redis = Redis(tmp_path)
    redis.start()
    yield redis
    redis.stop()


async def test_without_redis_presence_is_stale_then_unknown_and_rebuilt_later(
    open_database: None, own_redis: Redis
) -> None:
    ada, bob, cay = someone(), someone(), someone()
    group(ada, bob, cay)
    limits: Any = {**BRISK, "PARLEY_LIMIT_PRESENCE_STALE": "3", "REDIS_URL": own_redis.url}
    with serve(settings.DATABASES["default"]["NAME"], **limits) as server:
        async with connected(server, ada), connected(server, bob) as b:
            await wait_for_status(server, bob, ada)
            await subscribe(b, ada)

            own_redis.stop()
            await until(lambda: "asOf" in Api(server, bob).get(f"presence?ids={ada.id}").body["results"][0])
            stale = Api(server, bob).get(f"presence?ids={ada.id},{cay.id}").body["results"]
            assert [state["status"] for state in stale] == ["available", "unknown"]
            assert (await b.call("presence.update", {"status": "dnd"}))["status"] == "ok"
            await expect_status(b, ada, "unknown")

            own_redis.start()
            await expect_status(b, ada, "available")
            await wait_for_status(server, ada, bob, "dnd")
            assert "asOf" not in Api(server, bob).get(f"presence?ids={ada.id}").body["results"][0]


@pytest.mark.parametrize("server", ["uvicorn", "daphne"])
async def test_close_with_pending_answers_counts_as_on_purpose(pair: Pair, server: str) -> None:
    """Pending answers cannot be written any more, but the connection was closed, not lost."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 200)
    theirs = pair.one if server == "uvicorn" else pair.other
    async with connected(pair.one, bob) as b:
        await subscribe(b, ada)
        async with connected(theirs, ada) as a:
            await expect_status(b, ada, "available")
            for _ in range(5):
                await a.send("sync.request", {"chats": {}})
            await a.socket.close(1001)
        await expect_status(b, ada, "offline")
