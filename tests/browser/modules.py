"""A page that has the modules and a store of one conversation, for tests without an app around them."""

from collections.abc import Callable
from typing import Any

Run = Callable[[str], Any]

SET_UP = """
const { Store } = await import("/static/state/store.js");
const person = (userId) => ({ userId, displayName: `P${userId}`, joinedSeq: 0, deliveredSeq: 0, readSeq: 0 });
const chat = (id, rest) => ({ id, kind: "direct", name: "", seq: 4, rev: 4, memberCount: 2, unreadCount: 0, mentionCount: 0,
  pinned: false, members: [person("1"), person("2")], lastMessage: null, createdAt: "2026-01-01T00:00:00.000Z", ...rest });
const message = (seq, rev, rest) => ({ id: `m${seq}`, chatId: "9", seq, rev, clientId: `c${seq}`, content: `text ${seq}`,
  sender: { id: "2", displayName: "P2" }, status: "active", createdAt: `2026-01-01T00:00:0${seq}.000Z`, ...rest });
const said = (seq, rev, rest) => ({ type: "message.new", payload: { chatId: "9", message: message(seq, rev, rest) } });
const store = new Store("1", [chat("9")]);
store.open("9");
const heard = [];
for (const name of ["gap", "unknown", "stale", "incoming", "settled", "removed"]) {
  store.on(name, (detail) => heard.push([name, detail?.seq ?? detail]));
}
const texts = () => store.chat("9").messages.map((m) => m.content);
"""
