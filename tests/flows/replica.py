"""A client's copy of its chats, kept up to date by frames alone, to compare with a fresh read of the server (style 23).

It follows protocol 2.4: it applies each change by its rev, syncs at a gap, fetches the chat that `chat.updated` names,
and takes a sync's part of a chat as the truth.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from tests.chat.rest import Api
from tests.clients import Client, Frame
from tests.factories import Someone
from tests.servers import Server

WAIT_SECONDS = 5
# Fields that neither frames nor the comparison cover.
LEFT_OUT = ("lastMessage", "createdAt", "unreadCount", "mentionCount")
Chat = dict[str, Any]


class Replica:
    """The chats of one person: `chats` by id, each the conversation object and its messages by seq."""

    def __init__(self, server: Server, person: Someone) -> None:
        self.api = Api(server, person)
        self.me = str(person.id)
        self.chats: dict[str, Chat] = {}
        self.gaps = 0
        self.behind = False

    def load(self) -> "Replica":
        """Load all chats over REST."""
        listed = self.api.get("conversations?limit=100").body
        assert not listed["hasMore"]
        self.chats = {}
        for chat in listed["results"]:
            self._keep(chat, self._history(chat["id"]))
        return self

    def _history(self, chat: str) -> dict[int, Frame]:
        reply = self.api.get(f"conversations/{chat}/messages?limit=100")
        if reply.code == "NOT_A_MEMBER":
            return {}  # out again before it was loaded: `chat.removed` is on its way
        page = reply.body
        assert not page["hasMore"]
        return {message["seq"]: message for message in page["results"]}

    def _keep(self, chat: Frame, messages: dict[int, Frame]) -> None:
        self.chats[chat["id"]] = {"chat": chat, "messages": messages}

    def snapshot(self) -> dict[str, Chat]:
        """Return the copy in a comparable form; states of own messages are derived from the others' marks."""
        return {id_: self._shown(held) for id_, held in self.chats.items()}

    def counts(self) -> dict[str, list[int]]:
        """Return the unread messages and mentions that the copy counts above the own mark."""
        return {id_: self._unread(held) for id_, held in self.chats.items()}

    def counts_of_server(self) -> dict[str, list[int]]:
        """Return the unread messages and mentions that the server returned when the copy was loaded."""
        names = ("unreadCount", "mentionCount")
        return {id_: [held["chat"][name] for name in names] for id_, held in self.chats.items()}

    def _unread(self, held: Chat) -> list[int]:
        (read,) = [member["readSeq"] for member in held["chat"]["members"] if member["userId"] == self.me]
        unread = [
            m for seq, m in held["messages"].items()
            if seq > read and m["sender"]["id"] != self.me and m["status"] != "deleted" and m["contentType"] != "system"
        ]  # fmt: skip
        return [len(unread), sum(self.me in m["mentions"] or "mentionsAll" in m for m in unread)]

    def _shown(self, held: Chat) -> Chat:
        chat = {name: value for name, value in held["chat"].items() if name not in LEFT_OUT}
        others = [m for m in chat["members"] if m["userId"] != self.me]
        delivered, seen = (min((m[name] for m in others), default=0) for name in ("deliveredSeq", "readSeq"))
        messages = {}
        for seq, message in sorted(held["messages"].items()):
            state = "seen" if seq <= seen else "delivered" if seq <= delivered else "sent"
            messages[seq] = {**message, "state": state} if message["sender"]["id"] == self.me else message
        return {"chat": chat, "messages": messages}

    # --- frames ------------------------------------------------------------------------------------------------------

    def apply(self, frame: Frame) -> None:
        """Apply one frame of the server."""
        payload = frame["payload"]
        match frame["type"]:
            case "message.new":
                self._new(payload)
            case "message.updated" | "message.deleted" | "message.reaction":
                self._message_changed(frame["type"], payload)
            case "chat.created":
                self._keep(payload["chat"], self._history(payload["chatId"]))
            case "chat.updated":
                self._updated(payload)
            case "chat.removed":
                self.chats.pop(payload["chatId"], None)
            case "delivery.receipt" | "read.receipt":
                self._receipts(frame["type"], payload)
            case "sync.response" | "backfill-messages":
                self._synced(payload)

    def _new(self, payload: Frame) -> None:
        held, message = self.chats.get(payload["chatId"]), payload["message"]
        if held is None or not self._next(payload["chatId"], message["rev"]):
            return
        chat = held["chat"]
        keep(held["messages"], message)
        chat["seq"], chat["rev"] = message["seq"], message["rev"]
        if message["contentType"] != "system":
            self._sent(chat, message["sender"]["id"], message["seq"])

    def _sent(self, chat: Frame, user: str, seq: int) -> None:
        """Move the sender's marks over own messages that directly follow them (decision 0011)."""
        for member in chat["members"]:
            for name in ("deliveredSeq", "readSeq") if member["userId"] == user else ():
                member[name] = seq if member[name] == seq - 1 else member[name]

    def _message_changed(self, type_: str, payload: Frame) -> None:
        held, rev = self.chats.get(payload["chatId"]), rev_of(payload)
        if held is None or (rev is not None and not self._next(payload["chatId"], rev)):
            return
        change(held["messages"], type_, payload)
        held["chat"]["rev"] = rev if rev is not None else held["chat"]["rev"]

    def _next(self, id_: str, rev: int) -> bool:
        """Say whether a change is the next one; note a gap, which a sync fills."""
        known: int = self.chats[id_]["chat"]["rev"]
        if rev > known + 1:
            self.gaps += 1
            self.behind = True
        return rev == known + 1

    def _updated(self, payload: Frame) -> None:
        held = self.chats.get(payload["chatId"])
        if held is None or not self._next(payload["chatId"], payload["rev"]):
            return
        fresh = self.api.get(f"conversations/{payload['chatId']}")
        if fresh.status == 200:
            held["chat"] = {**fresh.body, "rev": max(payload["rev"], held["chat"]["rev"]), "seq": held["chat"]["seq"]}

    def _receipts(self, type_: str, payload: Frame) -> None:
        held = self.chats.get(payload["chatId"])
        for receipt in payload["receipts"] if held else ():
            seen = receipt["seq"] if type_ == "read.receipt" else 0
            assert held is not None
            self._mark(held["chat"], receipt["userId"], delivered=receipt["seq"], seen=seen)

    def _mark(self, chat: Frame, user: str, *, delivered: int, seen: int) -> None:
        for member in chat["members"]:
            if member["userId"] == user:
                member["deliveredSeq"] = max(member["deliveredSeq"], delivered)
                member["readSeq"] = max(member["readSeq"], seen)

    def watermarks(self) -> dict[str, Any]:
        """Return the watermarks for a `sync.request`."""
        return {id_: {"seq": held["chat"]["seq"], "rev": held["chat"]["rev"]} for id_, held in self.chats.items()}

    def _synced(self, payload: Frame) -> None:
        for id_ in payload["removed"]:
            self.chats.pop(id_, None)
        for part in payload["chats"]:
            known = self.chats.get(part["chatId"])
            messages = {} if known is None or part["tooLarge"] else known["messages"]
            fresh = self.api.get(f"conversations/{part['chatId']}").body
            if part["tooLarge"]:
                messages = self._history(part["chatId"])
            for message in part["messages"]:
                keep(messages, message)
            for hidden in part["hidden"]:
                drop(messages, hidden)
            self._keep({**fresh, "members": part["members"], "seq": part["seq"], "rev": part["rev"]}, messages)


def rev_of(payload: Frame) -> int | None:
    """Return the rev of a frame about a message, None if it changes only the reader's own view."""
    rev: int | None = payload["message"]["rev"] if "message" in payload else payload["rev"]
    return rev


def keep(messages: dict[int, Frame], message: Frame) -> None:
    """Store a message's latest state; count a new reply at its thread's root, and update quotes of the message."""
    root = next((m for m in messages.values() if m["id"] == message.get("threadId")), None)
    if root is not None and message["seq"] > root.get("lastReplySeq", 0):
        root |= {"replyCount": root.get("replyCount", 0) + 1, "lastReplySeq": message["seq"]}
    messages[message["seq"]] = message
    _quote(messages, message)


def change(messages: dict[int, Frame], type_: str, payload: Frame) -> None:
    """Apply `message.updated`, `message.deleted` or `message.reaction` to a chat's messages by seq."""
    if type_ == "message.updated":
        keep(messages, payload["message"])
        return
    held = next((m for m in messages.values() if m["id"] == payload["messageId"]), None)
    if held is None:
        return
    if type_ == "message.reaction":
        held |= {"reactions": payload["reactions"], "rev": payload["rev"]}
    elif payload["rev"] is None:
        drop(messages, held["id"])
    else:
        held |= {"content": "", "data": None, "attachments": [], "mentions": [], "reactions": []}
        held |= {"status": "deleted", "deletedBy": payload["by"], "rev": payload["rev"]}
        held.pop("mentionsAll", None)
        _quote(messages, held)


def drop(messages: dict[int, Frame], id_: str) -> None:
    """Drop a message that the reader deleted for themself, and the quotes of it."""
    for seq, message in list(messages.items()):
        if message["id"] == id_:
            del messages[seq]
        elif message["replyTo"] and message["replyTo"]["id"] == id_:
            message["replyTo"] = None


def _quote(messages: dict[int, Frame], quoted: Frame) -> None:
    for message in messages.values():
        if message["replyTo"] and message["replyTo"]["id"] == quoted["id"]:
            message["replyTo"]["excerpt"] = quoted["content"][:100]


async def assert_converges(replica: Replica, client: Client, server: Server, person: Someone) -> int:
    """Apply frames, and sync at a gap, until the copy equals a fresh read of the server.

    Returns the number of gaps; fails with the differences after some seconds.
    """
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while True:
        await client.send("ping", {})
        await client.expect("pong")
        for frame in client.frames:
            replica.apply(frame)
        client.frames = []
        if replica.behind:
            replica.behind = False
            await client.call("sync.request", {"chats": replica.watermarks()})
            continue
        fresh = await asyncio.to_thread(Replica(server, person).load)
        remaining = [
            *differences(replica.snapshot(), fresh.snapshot()),
            *differences(replica.counts(), fresh.counts_of_server(), "unread"),
        ]
        if not remaining or asyncio.get_running_loop().time() > deadline:
            assert remaining == [], f"{person.name}: where, held, true: {remaining}"
            return replica.gaps
        await asyncio.sleep(0.02)


def differences(held: Any, true: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the path of each difference of two copies, and both values."""
    if isinstance(held, dict) and isinstance(true, dict):
        for key in sorted({*held, *true}, key=str):
            yield from differences(held.get(key), true.get(key), f"{where}/{key}")
    elif isinstance(held, list) and isinstance(true, list) and len(held) == len(true):
        for n, (one, other) in enumerate(zip(held, true, strict=True)):
            yield from differences(one, other, f"{where}/{n}")
    elif held != true:
        yield where, held, true
