"""A stale client converges: a copy kept by frames, or updated by one sync, equals a fresh read (F99, F427).

CHANGES lists every kind of change; a new kind gets a row.
"""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import pytest

from accounts import blocks
from gateway.ids import ConversationId
from tests.chat.rest import Api, Reply
from tests.clients import connected
from tests.factories import Someone, another_device, direct, group, say_many, someone
from tests.flows.replica import Replica, assert_converges
from tests.servers import Server


class Stage(NamedTuple):
    """Three users in a group, two of them in a direct chat, a fourth outside, and their REST clients."""

    ada: Someone
    bob: Someone
    cem: Someone
    dan: Someone
    group: int
    direct: int
    last: str
    as_ada: Api
    as_bob: Api
    as_cem: Api


@pytest.fixture
def stage(server: Server) -> Stage:
    ada, bob, cem, dan = someone("Ada"), someone("Bob"), someone("Cem"), someone("Dan")
    chat, other = group(ada, bob, cem), direct(ada, bob)
    last = say_many(ada, chat, 3)[-1]
    say_many(bob, other, 2)
    return Stage(ada, bob, cem, dan, chat, other, str(last.id), Api(server, ada), Api(server, bob), Api(server, cem))


def succeed(*replies: Reply) -> None:
    for reply in replies:
        assert reply.status < 300, reply


def send_several(at: Stage) -> None:
    for n in range(5):
        succeed(at.as_ada.say(at.group, f"a{n}"), at.as_bob.say(at.group, f"b{n}"))


def send_twice(at: Stage) -> None:
    client_id = str(uuid4())
    succeed(
        *[
            at.as_ada.post("messages", {"chatId": str(at.group), "content": "once", "clientId": client_id})
            for _ in (1, 2)
        ]
    )


def come_and_go(at: Stage) -> None:
    path = f"conversations/{at.group}/members"
    succeed(at.as_ada.post(path, {"userId": str(at.dan.id)}), at.as_ada.say(at.group, "welcome"))
    succeed(at.as_ada("DELETE", f"{path}/{at.dan.id}"), at.as_ada.say(at.group, "gone"))
    succeed(at.as_ada.post(path, {"userId": str(at.dan.id)}), at.as_ada.say(at.group, "again"))


def cross(at: Stage) -> None:
    """A removal between messages: the removed member gets all before it and nothing after."""
    succeed(at.as_ada.say(at.group, "with cem"), at.as_ada("DELETE", f"conversations/{at.group}/members/{at.cem.id}"))
    succeed(at.as_bob.say(at.group, "without cem"), at.as_bob.say(at.direct, "and here"))


def block_and_send(at: Stage) -> None:
    blocks.block(at.cem.id, at.bob.id)
    succeed(at.as_bob.say(at.group, "not for cem"), at.as_ada.say(at.group, "for all"))


def message(at: Stage, verb: str, path: str = "", body: Any = None, api: Api | None = None) -> None:
    """Change the group's last message, as its author unless `api` is given."""
    succeed((api or at.as_ada)(verb, f"messages/{at.last}{path}", body))


def edit_often(at: Stage) -> None:
    succeed(at.as_bob.say(at.group, "quoting", replyTo=at.last))
    for n in range(3):
        message(at, "PATCH", body={"content": f"@all {n}", "mentions": [str(at.bob.id)]})


def react_and_delete(at: Stage) -> None:
    succeed(at.as_cem.say(at.group, "quoting", replyTo=at.last))
    for api in (at.as_ada, at.as_bob, at.as_cem):
        message(at, "PUT", f"/reactions/{THUMB}", api=api)
    message(at, "DELETE", f"/reactions/{THUMB}", api=at.as_bob)
    message(at, "DELETE")


def vote_and_close(at: Stage) -> None:
    data = {"question": "When?", "options": ["now", "later"]}
    poll = at.as_bob.say(at.group, "", contentType="poll", data=data).body["message"]["id"]
    for api, options in ((at.as_ada, [0]), (at.as_cem, [1]), (at.as_ada, [1]), (at.as_cem, [])):
        succeed(api("PUT", f"messages/{poll}/vote", {"options": options}))
    succeed(at.as_bob("POST", f"messages/{poll}/close"))


def change_roles(at: Stage) -> None:
    path = f"conversations/{at.group}/members"
    for whom, role in ((at.bob, "admin"), (at.cem, "admin"), (at.cem, "member"), (at.bob, "owner")):
        succeed(at.as_ada("PATCH", f"{path}/{whom.id}", {"role": role}))


def change_settings(at: Stage) -> None:
    for body in ({"name": "New", "topic": "What for"}, {"sharesHistory": False}, {"avatarUrl": "/a.png"}):
        succeed(at.as_ada("PATCH", f"conversations/{at.group}", body), at.as_bob.say(at.group, "between"))


def join_and_leave_a_team(at: Stage) -> None:
    team = at.as_ada.post("teams", {"name": "Crew"}).body["id"]
    succeed(at.as_ada.post(f"teams/{team}/members", {"userIds": [str(at.bob.id), str(at.cem.id)]}))
    chats = [at.as_ada.post(f"teams/{team}/channels", {"name": name}).body["id"] for name in ("one", "two")]
    for api in (at.as_bob, at.as_cem):
        succeed(*(api.post(f"conversations/{chat}/join") for chat in chats))
    succeed(at.as_ada("DELETE", f"teams/{team}/members/{at.cem.id}"), at.as_bob.say(int(chats[0]), "without cem"))


THUMB = quote("👍")
CHANGES: dict[str, Callable[[Stage], None]] = {
    "message": lambda at: succeed(at.as_ada.say(at.group, "hello")),
    "messages of several": send_several,
    "message of a direct chat": lambda at: succeed(at.as_bob.say(at.direct, "hello")),
    "message sent twice": send_twice,
    "reply": lambda at: succeed(at.as_bob.say(at.group, "yes", replyTo=at.last, mentions=[str(at.ada.id)])),
    "refused message": lambda at: None if at.as_ada.say(at.group, "no", replyTo="1").status == 404 else pytest.fail(),
    "delivered mark": lambda at: succeed(at.as_bob.post(f"messages/{at.last}/delivered")),
    "read mark": lambda at: succeed(at.as_bob.post(f"conversations/{at.group}/read", {"seq": 2})),
    "read marks of all": lambda at: succeed(
        *[api.post(f"messages/{at.last}/seen") for api in (at.as_bob, at.as_cem, at.as_ada)]
    ),
    "member added": lambda at: succeed(
        at.as_ada.post(f"conversations/{at.group}/members", {"userId": str(at.dan.id)})
    ),
    "member removed": lambda at: succeed(at.as_ada("DELETE", f"conversations/{at.group}/members/{at.cem.id}")),
    "member gone": lambda at: succeed(at.as_cem("DELETE", f"conversations/{at.group}/members/{at.cem.id}")),
    "owner gone": lambda at: succeed(at.as_ada("DELETE", f"conversations/{at.group}/members/{at.ada.id}")),
    "roles": change_roles,
    "name, topic, picture and who sees the past": change_settings,
    "group dissolved": lambda at: succeed(at.as_ada("DELETE", f"conversations/{at.group}")),
    "team and its channels": join_and_leave_a_team,
    "members come and go between messages": come_and_go,
    "removal between messages": cross,
    "group made": lambda at: succeed(
        at.as_bob.post("conversations", {"kind": "group", "name": "New", "memberIds": [str(at.cem.id), str(at.ada.id)]})
    ),
    "direct chat made": lambda at: succeed(
        at.as_cem.post("conversations", {"kind": "direct", "userId": str(at.ada.id)})
    ),
    "blocked person's message": block_and_send,
    "edit": lambda at: message(at, "PATCH", body={"content": "other words"}),
    "edits of a quoted message": edit_often,
    "deletion": lambda at: message(at, "DELETE"),
    "deletion for oneself": lambda at: message(at, "DELETE", "?scope=self", api=at.as_cem),
    "deletion by an admin of what somebody quoted": react_and_delete,
    "reaction": lambda at: message(at, "PUT", f"/reactions/{THUMB}", api=at.as_bob),
    "votes and the end of a poll": vote_and_close,
}  # fmt: skip
VIEWERS = ["ada", "bob", "cem", "dan"]


@pytest.mark.parametrize("change", CHANGES)
async def test_client_that_receives_every_frame_converges(server: Server, stage: Stage, change: str) -> None:
    people = [another_device(getattr(stage, viewer)) for viewer in VIEWERS]
    async with (
        connected(server, people[0]) as a,
        connected(server, people[1]) as b,
        connected(server, people[2]) as c,
        connected(server, people[3]) as d,
    ):
        replicas = [Replica(server, person).load() for person in people]

        CHANGES[change](stage)

        gaps = [
            await assert_converges(replica, client, server, person)
            for replica, client, person in zip(replicas, (a, b, c, d), people, strict=True)
        ]

    # Only a message hidden by a block leaves a gap in a client's frames.
    assert gaps == [0, 0, 1 if change == "blocked person's message" else 0, 0]


@pytest.mark.parametrize("change", CHANGES)
async def test_stale_client_converges_after_one_sync(server: Server, stage: Stage, change: str) -> None:
    people = [getattr(stage, viewer) for viewer in VIEWERS]
    replicas = [Replica(server, person).load() for person in people]

    CHANGES[change](stage)

    for replica, person in zip(replicas, people, strict=True):
        async with connected(server, person) as client:
            await client.call("sync.request", {"chats": replica.watermarks()})
            await assert_converges(replica, client, server, person)


async def test_stale_client_converges_by_pages(server: Server, stage: Stage) -> None:
    replica = Replica(server, stage.bob).load()
    for change in (
        "messages of several",
        "reply",
        "member added",
        "members come and go between messages",
        "group made",
    ):
        if change != "member added":
            CHANGES[change](stage)
    pages = 0

    async with connected(server, stage.bob) as client:
        more = True
        while more:
            await client.call("sync.request", {"chats": replica.watermarks(), "limit": 3})
            response = await client.expect_frame("sync.response")
            replica.apply(response)
            more, pages = response["payload"]["hasMore"], pages + 1
        await assert_converges(replica, client, server, stage.bob)

    assert pages > 3


async def test_client_that_missed_too_much_is_told_to_reload_the_conversation(server: Server, stage: Stage) -> None:
    replica = Replica(server, stage.cem).load()
    say_many(stage.ada, ConversationId(stage.group), 501)
    succeed(stage.as_ada.say(stage.group, "last"))

    async with connected(server, stage.cem) as client:
        await client.call("sync.request", {"chats": replica.watermarks()})
        response = (await client.expect("sync.response"))["chats"]

    (part,) = [chat for chat in response if chat["chatId"] == str(stage.group)]
    assert (part["tooLarge"], part["messages"], part["seq"], part["rev"]) == (True, [], 505, 506)
