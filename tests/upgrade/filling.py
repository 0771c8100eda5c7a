"""Fills an older build through what its users and operators have: REST, frames and commands; SQL where time must have passed.

The worker runs for the first part; the second part is written without it, so that the outbox holds rows.
"""

import random
import time
import uuid
from collections.abc import Mapping
from typing import Any

from tests.upgrade.api import Api
from tests.upgrade.builds import Build, CheckFailed

MESSAGES = {"log": 4000, "crowd": 3000, "direct": 2000, "channel": 1000}
HELD_DAYS, OVER_DAYS = 40, 80  # so many days ago the receipts of `direct`, held, and of `aged` expired
PASSWORD = "parley-demo"
DEMO = ("ada", "bob", "chen", "dana")
OTHERS = ("erin", "gina", *(f"member{number}" for number in range(1, 7)))
# As tests/receipts/log.py does it: the log refuses every change to everybody but a replica.
AGED = """
SET session_replication_role = replica;
SELECT receipts_make_partition(current_date - {days});
UPDATE receipts_log SET expires_at = current_date - {days}, expires_on = current_date - {days}, hash = receipts_hash(previous_hash,
    previous_expires_on, conversation_id, user_id, device_id, state, n, from_seq, to_seq, at, current_date - {days})
WHERE conversation_id = {chat};
UPDATE receipts_lane l SET expires_at = r.expires_at, expires_on = r.expires_on, hash = r.hash
FROM receipts_log r WHERE r.conversation_id = l.conversation_id AND r.user_id = l.user_id AND r.device_id = l.device_id
    AND r.state = l.state AND r.n = l.n AND l.conversation_id = {chat}
"""

# One row looks as if it had been tried twice; builds whose outbox has jobs have no such column.
RETRIED = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'chat_outbox' AND column_name = 'pending') THEN
        UPDATE chat_outbox SET pending = '{}', attempts = 2, available_at = now()
        WHERE id = (SELECT min(id) FROM chat_outbox);
    END IF;
END $$
"""


class World:
    """The devices that read later, by name, and the conversations by name."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.random = random.Random(9)
        self.tokens: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.devices: dict[str, str] = {}
        self.chats: dict[str, str] = {}

    def api(self, name: str) -> Api:
        return Api(self.port, self.tokens[name])

    def viewers(self) -> dict[str, Api]:
        """Return who reads: an owner on two devices, members, one who left, one whom the owner blocks, a stranger."""
        return {name: self.api(name) for name in ("ada", "ada's phone", "bob", "chen", "dana", "erin", "gina")}

    def add_device(self, name: str, tokens: Mapping[str, Any]) -> None:
        self.tokens[name], self.devices[name], self.ids[name] = (
            tokens["access"],
            tokens["deviceId"],
            tokens["user"]["id"],
        )

    def post(self, name: str, chat: str, content: str, **more: Any) -> Any:
        """Send a message over REST and return it."""
        body = {"content": content, "clientId": str(uuid.uuid4()), **more}
        return self.api(name).call("POST", f"/conversations/{self.chats[chat]}/messages", body)["message"]

    def send_messages(self, chat: str, names: tuple[str, ...], count: int) -> list[str]:
        """Let people send so many messages over the socket, in turns; return their ids."""
        ids: list[str] = []
        for start in range(0, count, 500):
            name = names[start // 500 % len(names)]
            sends = [("message.send", {"chatId": self.chats[chat], "content": self._words(start + n)}) for n in range(min(500, count - start))]  # fmt: skip
            ids += [ack["messageId"] for ack in self.api(name).send(sends)]
        return ids

    def _words(self, number: int) -> str:
        words = ("release", "*soup*", "Größe", "日本語", "`code`", "https://example.org/x", "🙂", "> quoted", "@all")
        return f"{number}: {' '.join(self.random.choices(words[:8], k=self.random.randint(1, 12)))}"


def fill(build: Build, port: int) -> World:
    """Make people, conversations and 10,000 messages with all that goes on around them; the worker runs."""
    world = World(port)
    _sign_people_in(world)
    _create_conversations(world)
    for chat, names in (("log", ("ada", "bob", "chen")), ("crowd", ("ada", "member1", "dana")), ("direct", ("ada", "bob")), ("channel", ("bob", "chen"))):  # fmt: skip
        ids = world.send_messages(chat, names, MESSAGES[chat] // 2)
        if chat == "log":
            world.api("ada").call("DELETE", f"/conversations/{world.chats['log']}/members/{world.ids['erin']}")
            world.api("ada").call("PUT", f"/me/blocks/{world.ids['dana']}")
        ids += world.send_messages(chat, names, MESSAGES[chat] // 2)
        _change_messages(world, chat, names, ids)
    _send_files(world)
    _mark_read(world)
    _set_preferences(world)
    build.python("manage.py", "receipts", "regulate", world.chats["channel"], "400", "--reason", "upgrade-check")
    build.python(
        "manage.py", "receipts", "hold", "--chat", world.chats["direct"], "--by", "Legal", "--reason", "upgrade-check"
    )
    build.run_beat_tasks()
    return world


def _sign_people_in(world: World) -> None:
    nobody = Api(world.port)
    for name in DEMO:
        credentials = {"email": f"{name}@example.com", "password": PASSWORD, "deviceName": "desktop"}
        world.add_device(name, nobody.call("POST", "/auth/token", credentials))
    for name in ("ada's phone", "ada's lost phone"):
        credentials = {"email": "ada@example.com", "password": PASSWORD, "deviceName": name}
        world.add_device(name, nobody.call("POST", "/auth/token", credentials))
    world.api("ada's lost phone").call("POST", "/auth/logout")
    for name in OTHERS:
        account = {"email": f"{name}@example.com", "password": f"{uuid.uuid4()}", "displayName": name.capitalize()}
        world.add_device(name, nobody.call("POST", "/auth/register", account))
    strict = {"sendReadReceipts": False, "showReadReceipts": False}
    world.api("ada").call("PATCH", "/me/privacy", {"deviceOverrides": {world.devices["ada's phone"]: strict}})
    world.api("chen").call("PATCH", "/me/privacy", {"sendReadReceipts": False, "showLastSeen": False})
    world.api("gina").call("PATCH", "/me/privacy", {"whoCanMessage": "contacts"})
    world.api("bob").call("PATCH", "/me", {"displayName": "Robert Kahn"})
    world.api("erin").call("PUT", f"/me/contacts/{world.ids['ada']}")


def _create_conversations(world: World) -> None:
    ids = world.ids
    ada, make = world.api("ada"), "/conversations"
    members = [ids[name] for name in ("bob", "chen", "dana", "erin")]
    crowd = [ids[name] for name in (*DEMO[1:], *OTHERS[2:])]
    made = {
        "log": ada.call("POST", make, {"kind": "group", "name": "Log", "memberIds": members}),
        "crowd": ada.call("POST", make, {"kind": "group", "name": "Crowd", "memberIds": crowd}),
        "direct": ada.call("POST", make, {"kind": "direct", "userId": ids["bob"]}),
        "blocked": ada.call("POST", make, {"kind": "direct", "userId": ids["dana"]}),
        "aged": ada.call("POST", make, {"kind": "group", "name": "Aged", "memberIds": members[:2]}),
        "dissolved": ada.call("POST", make, {"kind": "group", "name": "Dissolved", "memberIds": members}),
    }
    team = ada.call("POST", "/teams", {"name": "Upgrade", "description": "A team"})["id"]
    ada.call("POST", f"/teams/{team}/members", {"userIds": members})
    for kind, name, private in (("channel", "open", False), ("channel", "channel", True), ("broadcast", "news", False)):
        channel = {"kind": kind, "name": name, "topic": "Of it", "private": private, "memberIds": members[:2]}
        made[name] = ada.call("POST", f"/teams/{team}/channels", channel)
    world.chats = {name: chat["id"] for name, chat in made.items()}
    world.api("dana").call("POST", f"/conversations/{world.chats['open']}/join")
    ada.call("PATCH", f"/teams/{team}/members/{ids['bob']}", {"role": "admin"})
    ada.call("PATCH", f"/conversations/{world.chats['log']}", {"sharesHistory": False, "topic": "What happens"})
    ada.call("PATCH", f"/conversations/{world.chats['crowd']}/receipts", {"names": True})
    for name in ("blocked", "aged", "open", "news", "dissolved"):
        for number in range(3):
            world.post("ada", name, f"{name} {number}")
    world.post("dana", "blocked", "before the block")
    ada.call("DELETE", f"/conversations/{world.chats['dissolved']}")


def _change_messages(world: World, chat: str, names: tuple[str, ...], ids: list[str]) -> None:
    """Replies, mentions, polls, places, edits, deletions, reactions: everything that a message can have or become."""
    one, other, first = world.api(names[0]), world.api(names[1]), ids[:12]
    send = {"chatId": world.chats[chat], "content": "With more"}
    poll = {"question": "Soup?", "options": ["yes", "no"], "multiple": chat == "log", "anonymous": chat == "direct"}
    others = [world.ids[name] for name in names[1:]]
    frames = [
        *(("message.send", {**send, "replyTo": id_}) for id_ in first[:2] for _ in range(5)),
        ("message.send", {**send, "mentions": others, "priority": "urgent", "lastSeenSeq": 3}),
        ("message.send", {**send, "contentType": "location", "data": {"latitude": 48.1, "longitude": 11.5}}),
        ("message.send", {**send, "contentType": "contact", "data": {"name": "Frank", "phone": "+4989"}}),
        *(("message.send", {**send, "contentType": "poll", "data": poll}) for _ in range(2)),
    ]
    open_, closed = (ack["messageId"] for ack in one.send(frames)[-2:])
    one.send([("poll.vote", {"messageId": id_, "options": [0]}) for id_ in (open_, closed)])
    other.send([("poll.vote", {"messageId": open_, "options": [1]})])
    one.send([
        ("poll.close", {"messageId": closed}),
        *(("message.edit", {"messageId": id_, "content": f"Other words {version}"}) for id_ in first[:4] for version in (2, 3)),
        ("message.edit", {"messageId": first[4], "content": "With mentions", "mentions": others}),
        ("message.delete", {"messageId": first[5]}),
        ("message.delete", {"messageId": first[6], "scope": "self"}),
        *(("message.react", {"messageId": first[7], "emoji": emoji, "action": "add"}) for emoji in "👍🎉🙂"),
        ("message.react", {"messageId": first[7], "emoji": "🙂", "action": "remove"}),
    ])  # fmt: skip
    other.send(
        [("message.react", {"messageId": id_, "emoji": "👍", "action": "add"}) for id_ in (*first[7:9], ids[-1])]
    )
    thread = other.call("GET", f"/messages/{first[0]}/replies")["results"]
    other.call("POST", f"/messages/{first[0]}/replies/read", {"seq": thread[1]["seq"]})


def _send_files(world: World) -> None:
    """Images and a text in messages, one upload that rests half way, one message with a file that is deleted."""
    ada, files = world.api("ada"), []
    for name, content in (("a.gif", pixel("000000")), ("b.gif", pixel("ff0000")), ("c.txt", "Größe\n".encode() * 99), ("d.txt", b"gone")):  # fmt: skip
        form = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        files.append(ada.call("POST", "/attachments", form + content + b"\r\n--x--\r\n", Content_Type="multipart/form-data; boundary=x")["id"])  # fmt: skip
    half = ada.call("POST", "/attachments", {"name": "half.txt", "size": 20})["id"]
    ada.call("PUT", f"/attachments/{half}/content", b"0123456789", Content_Range="bytes 0-9/20")
    world.post("ada", "log", "Two images", contentType="image", attachments=files[:2])
    world.post("ada", "direct", "A text", contentType="file", attachments=files[2:3])
    gone = world.post("ada", "log", "A text that goes", contentType="file", attachments=files[3:])
    ada.call("DELETE", f"/messages/{gone['id']}")
    end = time.monotonic() + 60
    while any(ada.call("GET", f"/attachments/{id_}")["status"] != "ready" for id_ in files[:3]):
        if time.monotonic() > end:
            raise CheckFailed("the older build's worker has not examined the files within 60 s")
        time.sleep(0.1)


def _mark_read(world: World) -> None:
    """Marks by REST and by frames, at other places for each member and device."""
    for chat in ("log", "crowd", "direct", "channel", "aged", "blocked"):
        seq = world.api("ada").call("GET", f"/conversations/{world.chats[chat]}")["seq"]
        for part, name in enumerate(("ada's phone", "bob", "chen", "dana", "member1"), 2):
            api = world.api(name)
            if api.ask("GET", f"/api/v1/conversations/{world.chats[chat]}").status == 200:
                api.call("POST", f"/conversations/{world.chats[chat]}/read", {"seq": seq // part})
                delivered = {"chatId": world.chats[chat], "seq": max(seq - part, 0)}
                api.send([("message.delivered", delivered), ("ping", {})])


def _set_preferences(world: World) -> None:
    for chat, own in {
        "log": {"pinned": True, "draft": "A draft that waits"}, "crowd": {"mutedUntil": "2100-01-01T00:00:00Z"},
        "direct": {"markedUnread": True}, "open": {"archived": True},
    }.items():  # fmt: skip
        for name in ("ada", "bob"):
            world.api(name).call("PATCH", f"/conversations/{world.chats[chat]}/members/{world.ids[name]}", own)


def fill_outbox(build: Build, world: World) -> None:
    """Write what stays in the outbox, the worker being stopped; let receipts expire, held ones and others."""
    ada, bob = world.api("ada"), world.api("bob")
    for chat in ("log", "crowd", "direct", "channel", "news"):
        for number in range(5):
            last = world.post("ada", chat, f"Queued {number}")
        ada.call("PATCH", f"/messages/{last['id']}", {"content": "Queued, then edited"})
        bob.call("PUT", f"/messages/{last['id']}/reactions/%F0%9F%91%8D")
    gone = world.post("ada", "log", "Queued, then deleted")
    ada.call("DELETE", f"/messages/{gone['id']}")
    ada.call("POST", f"/conversations/{world.chats['aged']}/members", {"userId": world.ids["dana"]})
    for chat, days in (("direct", HELD_DAYS), ("aged", OVER_DAYS)):
        build.sql(AGED.format(chat=world.chats[chat], days=days))
    build.sql(RETRIED)


def pixel(colour: str) -> bytes:
    """Return a GIF of one pixel: images get a thumbnail."""
    return bytes.fromhex(f"47494638396101000100800000{colour}ffffff2c00000000010001000002024401003b")
