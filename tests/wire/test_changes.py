"""Changes of messages on the wire: one ack, and the frame to all connections of all members."""

import asyncio

from tests.chat.rest import Api
from tests.clients import Client, connected
from tests.factories import another_device, direct, group, say, someone
from tests.servers import Server


async def test_change_is_acked_and_sent_to_all_connections_including_the_acting_one(server: Server) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = group(ada, bob)
    stored = say(ada, chat, "first")
    its = {"messageId": str(stored.id)}
    async with (
        connected(server, ada) as acting,
        connected(server, another_device(ada)) as other,
        connected(server, bob) as theirs,
    ):
        edited = await acting.call("message.edit", {**its, "content": "second", "version": 1})
        reacted = await acting.call("message.react", {**its, "emoji": "👍", "action": "add"})
        deleted = await acting.call("message.delete", its)
        for client in (acting, other, theirs):
            message = (await client.expect("message.updated"))["message"]
            assert (message["content"], message["version"], message["rev"]) == ("second", 2, edited["rev"])
            told = await client.expect("message.reaction")
            assert told == {"chatId": str(chat), **its, "rev": reacted["rev"], "reactions": reacted["reactions"]}
            gone = await client.expect("message.deleted")
            assert gone == {
                "chatId": str(chat), **its, "seq": stored.seq, "rev": deleted["rev"], "by": str(ada.id),
            }  # fmt: skip

    assert set(edited) == {"refId", "status", "messageId", "version", "rev", "editedAt"}
    assert reacted["reactions"] == [{"emoji": "👍", "count": 1, "userIds": [str(ada.id)]}]
    assert [edited["rev"], reacted["rev"], deleted["rev"]] == [stored.rev + n for n in (1, 2, 3)]


async def test_message_deleted_for_oneself_disappears_from_own_devices_only(server: Server) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = direct(ada, bob)
    stored = say(ada, chat)
    async with (
        connected(server, bob) as acting,
        connected(server, another_device(bob)) as other,
        connected(server, ada) as theirs,
    ):
        ack = await acting.call("message.delete", {"messageId": str(stored.id), "scope": "self"})
        for client in (acting, other):
            assert (await client.expect("message.deleted"))["rev"] is None
        assert "message.deleted" not in await types(theirs)

    assert (ack["status"], ack["rev"]) == ("ok", None)


async def test_votes_and_closing_of_a_poll_reach_all_members(server: Server) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = group(ada, bob)
    async with connected(server, ada) as asking, connected(server, bob) as voting:
        data = {"question": "When?", "options": ["now", "later"]}
        poll = {"messageId": (await asking.say(chat, "", contentType="poll", data=data))["messageId"]}
        voted = await voting.call("poll.vote", {**poll, "options": [1]})
        seen = (await asking.expect("message.updated"))["message"]
        closed = await asking.call("poll.close", poll)
        late = await voting.call("poll.vote", {**poll, "options": [0]})

    assert seen["data"] == voted["data"]
    assert [option["count"] for option in closed["data"]["options"]] == [0, 1]
    assert (closed["data"]["closed"], late["error"]["code"]) == (True, "READ_ONLY")


async def test_change_over_rest_has_the_same_effect_as_over_the_socket(server: Server) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    stored = say(ada, direct(ada, bob))
    async with connected(server, bob) as client:
        answer = await asyncio.to_thread(Api(server, ada), "PATCH", f"messages/{stored.id}", {"content": "second"})
        told = (await client.expect("message.updated"))["message"]

    assert {**answer.body, "state": None} == {**told, "state": None}


async def types(client: Client) -> list[str]:
    """Return the types of all frames that were on their way."""
    return [frame["type"] for frame in await client.settled()]
