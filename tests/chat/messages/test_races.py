"""Changes of messages that collide: whoever comes first, all clients and the database end with the same.

Each race runs on real sockets of one server: three people hold copies, two of them act at the same moment, several times.
Then every copy, mended by syncs where it has a gap, must be what the server says afresh, and the rows must agree with
each other.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.utils import timezone

from chat.models import Conversation, Mention, Message, MessageVersion, Reaction, Vote
from gateway.ids import ConversationId
from tests.clients import Client, Frame, connected
from tests.factories import Someone, another_device, draft, group, say, someone, store
from tests.flows.replica import Replica, assert_converges
from tests.servers import Server

ROUNDS = 8
Act = Callable[["Race", int, Client], Coroutine[Any, Any, Frame]]


class Race(NamedTuple):
    """A group of three with their connections and copies; the first is its owner."""

    server: Server
    people: list[Someone]
    clients: list[Client]
    replicas: list[Replica]
    chat: int

    async def converged(self) -> None:
        """Wait until all copies are what the server says, and look at the rows."""
        for replica, client, person in zip(self.replicas, self.clients, self.people, strict=True):
            await assert_converges(replica, client, self.server, person)
        check_rows(self.chat)


@asynccontextmanager
async def race(server: Server) -> AsyncIterator[Race]:
    people = [someone(name) for name in ("Ada", "Bob", "Cem")]
    chat = group(*people)
    devices = [another_device(person) for person in people]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(server, device)) for device in devices]
        yield Race(server, devices, clients, [Replica(server, device).load() for device in devices], chat)


def check_rows(chat: int) -> None:
    """Assert that a conversation's rows agree: revs without repetition, summaries of what there is, clean tombstones."""
    row = Conversation.objects.get(id=chat)
    messages = list(Message.objects.filter(conversation_id=chat).order_by("seq"))
    assert [m.seq for m in messages] == list(range(1, row.last_seq + 1))
    revs = [m.rev for m in messages]
    assert len(set(revs)) == len(revs) and max(revs) <= row.rev
    for message in messages:
        its = {"conversation_id": chat, "message_id": message.id}
        reactions = Reaction.objects.filter(**its)
        summed = {entry["emoji"]: entry["count"] for entry in message.reactions or []}
        assert sum(summed.values()) == reactions.count()
        assert set(summed) == set(reactions.values_list("emoji", flat=True))
        if message.status == "deleted":
            assert (message.content, message.data, message.reactions, message.mentions) == ("", None, None, None)
            assert not Vote.objects.filter(**its).exists()
            assert not Mention.objects.filter(conversation_id=chat, seq=message.seq).exists()
        versions = MessageVersion.objects.filter(**its).order_by("version").values_list("version", flat=True)
        last = message.version + (1 if message.status == "deleted" else 0)
        assert list(versions) == list(range(1, last)), "each version is kept once"
        if message.content_type == "poll" and message.status != "deleted":
            counted = [option["count"] for option in message.data["options"]]  # type: ignore[index]
            votes = list(Vote.objects.filter(**its).values_list("option", flat=True))
            assert counted == [votes.count(place) for place in range(len(counted))]


async def edit(at: Race, message: int, client: Client) -> Frame:
    return await client.call("message.edit", {"messageId": str(message), "content": f"edited by {id(client)}"})


async def delete(at: Race, message: int, client: Client) -> Frame:
    return await client.call("message.delete", {"messageId": str(message)})


async def react(at: Race, message: int, client: Client) -> Frame:
    return await client.call("message.react", {"messageId": str(message), "emoji": "👍", "action": "add"})


async def take_back(at: Race, message: int, client: Client) -> Frame:
    return await client.call("message.react", {"messageId": str(message), "emoji": "👍", "action": "remove"})


async def vote(at: Race, message: int, client: Client) -> Frame:
    return await client.call("poll.vote", {"messageId": str(message), "options": [1]})


async def close(at: Race, message: int, client: Client) -> Frame:
    return await client.call("poll.close", {"messageId": str(message)})


# By name: who acts (places of the three), what they do, and which refusals the later one may get.
RACES: dict[str, tuple[list[tuple[int, Act]], set[str]]] = {
    "edit and delete": ([(1, edit), (0, delete)], {"NOT_FOUND"}),
    "delete and reaction": ([(1, delete), (2, react), (0, react)], {"NOT_FOUND"}),
    "two who delete": ([(0, delete), (1, delete)], set()),
    "edit and reaction": ([(1, edit), (0, react), (2, react)], set()),
    "reactions of many": ([(0, react), (1, react), (2, react), (0, take_back)], set()),
    "vote and close": ([(0, vote), (2, vote), (1, close)], {"READ_ONLY"}),
    "vote and delete": ([(0, vote), (2, vote), (1, delete)], {"NOT_FOUND"}),
}


@pytest.mark.parametrize("name", RACES)
async def test_concurrent_changes_converge(server: Server, name: str) -> None:
    acts, allowed = RACES[name]
    async with race(server) as at:
        refused = set()
        for _ in range(ROUNDS):
            message = _message(at, poll=any(act in (vote, close) for _, act in acts))
            answers = await asyncio.gather(*[_alone(at, who, act, message) for who, act in acts])
            refused |= {answer["error"]["code"] for answer in answers if answer["status"] == "error"}
        await at.converged()

    assert refused <= allowed


def _message(at: Race, *, poll: bool) -> int:
    """Store a message of the second person's."""
    if not poll:
        return say(at.people[1], ConversationId(at.chat)).id
    data = {"question": "?", "options": ["a", "b"]}
    return store([draft(at.people[1], ConversationId(at.chat), "", content_type="poll", data=data)])[0].id


async def _alone(at: Race, who: int, act: Act, message: int) -> Frame:
    """Act on a connection of its own: a connection's own frames never race."""
    async with connected(at.server, another_device(at.people[who])) as client:
        return await act(at, message, client)


async def test_concurrent_sync_receives_consecutive_edits(server: Server) -> None:
    """The edit comes while the message is still being delivered, or fetched by a sync: the latest version wins (F26)."""
    async with race(server) as at:
        ada, bob, _ = at.clients
        for n in range(ROUNDS):
            ack = await ada.say(at.chat, f"first {n}")
            changed = [
                await ada.send("message.edit", {"messageId": ack["messageId"], "content": f"{version} of {n}"})
                for version in ("second", "third")
            ]
            await bob.send("sync.request", {"chats": at.replicas[1].watermarks()})
            assert [(await ada.ack(id_))["version"] for id_ in changed] == [2, 3]
        # What one's own connection has sent comes to it by its acks alone.
        await ada.call("sync.request", {"chats": at.replicas[0].watermarks()})
        await at.converged()

        said = [m["content"] for m in at.replicas[1].snapshot()[str(at.chat)]["messages"].values()]
    assert said == [f"third of {n}" for n in range(ROUNDS)]


async def test_concurrent_edits_of_one_version_conflict(server: Server) -> None:
    async with race(server) as at:
        for _ in range(ROUNDS):
            message = _message(at, poll=False)
            payload = {"messageId": str(message), "version": 1}
            answers = await asyncio.gather(
                *[_edit(at, {**payload, "content": content}) for content in ("one", "other", "third")]
            )
            assert sorted(a["status"] for a in answers) == ["error", "error", "ok"]
            assert {a["error"]["code"] for a in answers if a["status"] == "error"} == {"VERSION_CONFLICT"}
        await at.converged()


async def _edit(at: Race, payload: Frame) -> Frame:
    async with connected(at.server, another_device(at.people[1])) as client:
        return await client.call("message.edit", payload)


async def test_resume_replays_missed_changes(server: Server) -> None:
    people = [someone("Ada"), someone("Bob")]
    chat = group(*people)
    old, gone, loved = (say(people[0], chat, words) for words in ("old", "gone", "loved"))
    Message.objects.filter(conversation_id=chat).exclude(id=gone.id).update(
        created_at=timezone.now() - timedelta(hours=1)
    )
    hidden = say(people[0], chat, "hidden")
    replica = Replica(server, people[1]).load()
    async with connected(server, people[1]) as client:
        token = client.hello["resumeToken"]
    async with connected(server, people[1]) as other:
        await other.call("message.delete", {"messageId": str(hidden.id), "scope": "self"})
    async with connected(server, people[0]) as ada:
        await ada.call("message.edit", {"messageId": str(old.id), "content": "new"})
        await ada.call("message.delete", {"messageId": str(gone.id)})
        await ada.call("message.react", {"messageId": str(loved.id), "emoji": "👍", "action": "add"})

    async with connected(server, people[1], f"?resume={token}") as client:
        assert client.hello["resumed"] is True
        frames = await client.settled()
        # A fact may arrive twice: live news that waited for the hub to look up the members come beside the replay.
        changed = {m["id"]: m for m in (f["payload"]["message"] for f in frames if f["type"] == "message.updated")}
        assert [(m["content"], m["status"], len(m["reactions"])) for m in changed.values()] == [
            ("new", "edited", 0), ("", "deleted", 0), ("loved", "active", 1),
        ]  # fmt: skip
        deleted = {f["payload"]["messageId"] for f in frames if f["type"] == "message.deleted"}
        assert deleted - {str(gone.id)} == {str(hidden.id)}
        for frame in frames:
            replica.apply(frame)
        await assert_converges(replica, client, server, people[1])
    assert replica.gaps == 0
