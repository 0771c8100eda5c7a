"""Chat, marks and typing over REST against a running server: what each route takes and answers (protocol 3, 3.1)."""

from typing import Any
from uuid import uuid4

import pytest

from chat.conversations import members
from tests.chat import rows
from tests.chat.rest import Api
from tests.clients import connected
from tests.factories import Someone, direct, group, say, say_many, someone
from tests.servers import Server


@pytest.fixture
def pair(server: Server) -> tuple[Someone, Someone, int]:
    ada, bob = someone("Ada"), someone("Bob")
    return ada, bob, direct(ada, bob)


def test_new_direct_chat_returns_201_and_an_existing_one_200(server: Server) -> None:
    ada, bob = someone("Ada"), someone("Bob")

    made = Api(server, ada).post("conversations", {"kind": "direct", "userId": str(bob.id)})
    found = Api(server, bob).post("conversations", {"kind": "direct", "userId": str(ada.id)})

    assert (made.status, found.status) == (201, 200)
    assert made.body["id"] == found.body["id"]
    assert [m["displayName"] for m in made.body["members"]] == ["Ada", "Bob"]


def test_group_can_be_created_read_joined_and_left(server: Server) -> None:
    ada, bob, cem = someone(), someone(), someone()
    api = Api(server, ada)

    made = api.post("conversations", {"kind": "group", "name": "Tea", "memberIds": [str(bob.id)]})
    chat = made.body["id"]
    grown = api.post(f"conversations/{chat}/members", {"userId": str(cem.id)})
    listed = Api(server, cem).get(f"conversations/{chat}/members")
    left = Api(server, bob)("DELETE", f"conversations/{chat}/members/{bob.id}")

    assert (made.status, made.body["name"], made.body["memberCount"]) == (201, "Tea", 2)
    assert (grown.status, grown.body["memberCount"], grown.body["membersVersion"]) == (200, 3, 2)
    assert [m["userId"] for m in listed.body["results"]] == [str(p.id) for p in (ada, bob, cem)]
    assert (listed.body["hasMore"], listed.body["nextCursor"]) == (False, None)
    assert (left.status, left.body) == (204, None)
    assert api.get(f"conversations/{chat}").body["memberCount"] == 2


def test_repeated_post_returns_the_first_answer(server: Server, pair: Any) -> None:
    ada, bob, chat = pair
    body = {"content": "Good morning", "clientId": str(uuid4())}

    first = Api(server, ada).post(f"conversations/{chat}/messages", body)
    again = Api(server, ada).post(f"conversations/{chat}/messages", {**body, "content": "other"})

    assert (first.status, again.status) == (201, 200)
    assert (first.body["duplicate"], again.body["duplicate"]) == (False, True)
    assert first.body["message"] == again.body["message"]
    message = first.body["message"]
    assert (message["content"], message["seq"], message["rev"], message["state"]) == ("Good morning", 1, 2, "sent")
    assert message["clientId"] == body["clientId"]
    assert Api(server, bob).get(f"messages/{message['id']}").body == {k: v for k, v in message.items() if k != "state"}


@pytest.mark.parametrize("way", ["header", "clientId", "tempId"])
def test_client_id_is_accepted_in_body_and_header(server: Server, pair: Any, way: str) -> None:
    ada, _, chat = pair
    key = str(uuid4())
    headers = {"Idempotency_Key": key} if way == "header" else {}
    body = {"content": "once", **({way: key} if way != "header" else {})}

    answers = [Api(server, ada).post(f"conversations/{chat}/messages", body, **headers) for _ in range(2)]

    assert [a.status for a in answers] == [201, 200]
    assert [a.body["message"]["clientId"] for a in answers] == [key, key]
    assert rows.counters(chat)[0] == 1


def test_post_without_id_stores_a_message_each_time(server: Server, pair: Any) -> None:
    ada, _, chat = pair

    for _ in range(2):
        assert Api(server, ada).post(f"conversations/{chat}/messages", {"content": "again"}).status == 201

    assert rows.counters(chat)[0] == 2


@pytest.mark.parametrize("name", ["chatId", "conversation_id"])
def test_flat_routes_send_and_list_messages(server: Server, pair: Any, name: str) -> None:
    ada, bob, chat = pair

    sent = Api(server, ada).post("messages", {name: str(chat), "content": "flat", "tempId": str(uuid4())})
    read = Api(server, bob).get(f"messages?chatId={chat}")

    assert sent.status == 201
    assert [m["content"] for m in read.body["results"]] == ["flat"]


def test_history_cursor_continues_in_both_directions(server: Server, pair: Any) -> None:
    ada, bob, chat = pair
    say_many(ada, chat, 10)
    api = Api(server, bob)

    def walk(query: str) -> list[list[int]]:
        pages, cursor = [], ""
        while True:
            page = api.get(f"conversations/{chat}/messages?limit=4{query if not cursor else f'&cursor={cursor}'}").body
            pages.append([m["seq"] for m in page["results"]])
            assert page["hasMore"] == (page["nextCursor"] is not None)
            if not page["hasMore"]:
                return pages
            cursor = page["nextCursor"]

    assert walk("") == [[7, 8, 9, 10], [3, 4, 5, 6], [1, 2]]
    assert walk("&after=0") == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert walk("&before=4") == [[1, 2, 3]]
    assert api.get(f"conversations/{chat}/messages?around=5&limit=4").body["results"][0]["seq"] == 4
    assert len(api.get(f"conversations/{chat}/messages").body["results"]) == 10


def test_conversation_list_continues_by_its_cursor(server: Server) -> None:
    ada = someone()
    chats = [str(group(ada, name=f"G{n}")) for n in range(5)]
    api, seen, cursor = Api(server, ada), [], ""

    while True:
        page = api.get(f"conversations?limit=2{cursor}").body
        seen += [chat["id"] for chat in page["results"]]
        if not page["hasMore"]:
            break
        cursor = f"&cursor={page['nextCursor']}"

    assert seen == chats[::-1]


def test_rest_sync_and_backfill_answer_like_the_frames(server: Server, pair: Any) -> None:
    ada, bob, chat = pair
    stored = say_many(ada, chat, 5)
    api = Api(server, bob)

    synced = api.post("sync", {"chats": {str(chat): {"seq": 3, "rev": 4}, "1": {"seq": 0}}})
    filled = [
        api.post(f"{path}/backfill", {"lastMessageId": str(stored[2].id)})
        for path in (f"conversations/{chat}", f"messages/conversation/{chat}")
    ]
    limited = api.post(f"conversations/{chat}/backfill", {"after": 1, "limit": 2})

    assert synced.body["removed"] == ["1"]
    assert synced.body["badges"] == {str(chat): 5}
    for answer in (synced, *filled):
        (part,) = answer.body["chats"]
        assert [m["seq"] for m in part["messages"]] == [4, 5]
        assert (part["seq"], part["rev"], part["hasMore"], part["tooLarge"]) == (5, 6, False, False)
    assert [m["seq"] for m in limited.body["chats"][0]["messages"]] == [2, 3]
    assert limited.body["hasMore"] and limited.body["chats"][0]["cursor"] == "3"


def test_marks_change_the_unread_counts(server: Server, pair: Any) -> None:
    ada, bob, chat = pair
    other = group(ada, bob)
    say_many(ada, chat, 3)
    stored = say_many(ada, other, 2)
    api = Api(server, bob)
    answers = [api.get("me/unread").body]

    assert api.post(f"conversations/{chat}/read", {"seq": 2}).status == 204
    answers.append(api.get("me/unread").body)
    assert api.post(f"messages/{stored[1].id}/seen").status == 204
    answers.append(api.get("me/unread").body)
    assert api.post(f"conversations/{chat}/read", {"seq": 1}).status == 204
    answers.append(api.get("me/unread").body)

    assert answers == [
        {"totalUnread": 5, "chats": {str(chat): 3, str(other): 2}},
        {"totalUnread": 3, "chats": {str(chat): 1, str(other): 2}},
        {"totalUnread": 1, "chats": {str(chat): 1}},
        {"totalUnread": 1, "chats": {str(chat): 1}},
    ]


@pytest.mark.parametrize(("route", "state"), [("delivered", "delivered"), ("seen", "seen"), ("read", "seen")])
def test_mark_by_message_changes_the_senders_message_state(server: Server, pair: Any, route: str, state: str) -> None:
    ada, bob, chat = pair
    message = say(ada, chat)

    assert Api(server, bob).post(f"messages/{message.id}/{route}").status == 204

    assert Api(server, ada).get(f"messages/{message.id}").body["state"] == state
    (member,) = [m for m in Api(server, ada).get(f"conversations/{chat}").body["members"] if m["userId"] == str(bob.id)]
    assert (member["deliveredSeq"], member["readSeq"]) == (1, 1 if state == "seen" else 0)


def test_mark_by_message_is_accepted_by_the_conversation_route(server: Server, pair: Any) -> None:
    ada, bob, chat = pair
    message = say(ada, chat)

    assert Api(server, bob).post(f"conversations/{chat}/read", {"messageId": str(message.id)}).status == 204
    assert rows.member(bob, chat).read_seq == 1


async def test_rest_and_socket_share_one_history(server: Server, pair: Any) -> None:
    """What comes in over REST goes out over the socket: messages, receipts, typing, chats."""
    ada, bob, chat = pair
    async with connected(server, bob) as b, connected(server, ada) as a:
        message = Api(server, ada).say(chat, "over REST").body["message"]
        new = (await b.expect("message.new"))["message"]
        own = (await a.expect("message.new"))["message"]
        Api(server, bob).post(f"messages/{message['id']}/seen")
        seen = await a.expect("read.receipt")
        Api(server, bob).post(f"conversations/{chat}/typing", {})
        typing = await a.expect("typing.indicator")
        Api(server, bob).post(f"messages/{message['id']}/typing", {"active": False})
        stopped = await a.expect("typing.indicator")
        made = Api(server, bob).post("conversations", {"kind": "group", "name": "G", "memberIds": [str(ada.id)]}).body
        created = await a.expect("chat.created")

    assert own == message, "the sender's own devices get the state as well"
    assert new == {k: v for k, v in message.items() if k != "state"}
    assert seen["receipts"] == [{"userId": str(bob.id), "messageId": message["id"], "seq": 1}]
    assert (typing["active"], stopped["active"]) == (True, False)
    assert created["chatId"] == made["id"]
    assert created["chat"]["members"] == made["members"]


def test_contract_publishes_every_active_limit(server: Server) -> None:
    published = Api(server).get("contract").body

    assert published["versions"] == [1]
    limits = published["limits"]
    assert (limits["maxContentChars"]["value"], limits["maxFrameBytes"]["value"]) == (10_000, 65_536)
    assert limits["messagesBurst"]["value"] == 100_000, "what is active here, not the default"
    assert all(number["meaning"] and number["source"] for number in limits.values())


def test_removed_member_is_refused_at_once(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    api = Api(server, bob)
    before = api.say(chat).status

    members.remove(ada.id, chat, bob.id)

    assert (before, api.say(chat).code, api.get(f"conversations/{chat}").code) == (201, "NOT_A_MEMBER", "NOT_A_MEMBER")


def test_api_answers_are_not_cacheable(server: Server, pair: Any) -> None:
    ada, _, chat = pair
    api = Api(server, ada)

    kept = [
        reply
        for reply in (
            api.get("me"),
            api.get(f"conversations/{chat}"),
            api.post("auth/ws-ticket"),
            api.get("messages/1"),
        )
        if reply.headers.get("cache-control") != "no-store"
    ]

    assert kept == []
