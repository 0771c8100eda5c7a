"""Each frame costs the server little in relation to what it is charged against its connection's rate, however hostile."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from django.conf import settings

from chat.handlers import CHATS_CHARGED
from config.frames import ALIASES, FRAMES
from config.limits import LIMITS
from gateway.consumer import INDICATOR_BYTES_CHARGED
from gateway.indicators import DELIVERED
from receipts.handlers import COST_BY_MESSAGE
from tests.clients import connected
from tests.factories import Someone, direct, someone
from tests.servers import Server, serve

FRAMES_SENT = 400
PINGS_SENT = 1_000
# What is charged as one ordinary frame may cost as much CPU as so many pings that are sent and answered one by one.
MOST_PINGS = 10
LONG = 10_000
INVENTED = [str(10**15 + n) for n in range(1_000)]


class Place(NamedTuple):
    """A server that refuses messages by their limit, a user and one of their chats."""

    server: Server
    person: Someone
    chat: str


def send(content: str, **more: Any) -> Any:
    return lambda at: frame("message.send", {"chatId": at.chat, "content": content, **more})


def frame(type_: str, payload: Any) -> str:
    return json.dumps({"type": type_, "id": str(uuid4()), "payload": payload}, ensure_ascii=False)


def text(piece: str) -> str:
    return ((piece * LONG)[: LONG - 5]) + "x@all"


HOSTILE: dict[str, Any] = {
    "an unknown type": lambda at: frame("no.such", {}),
    "no JSON": lambda at: "{" * 1_000,
    "a payload of a wrong form": lambda at: frame("message.send", {"chatId": 1}),
    "a message above its limit": send("hello"),
    "marks": send(text("*_~a~_*")),
    "newlines": send(text("\n")),
    "fences": send(text("```\n")),
    "emoji": send(text(":aa:")),
    "addresses": send(text("http://a ")),
    "at signs": send(text("@")),
    "a message to an invented chat": lambda at: frame("message.send", {"chatId": INVENTED[0], "content": text("*")}),
    "3,000 attachments": send("", attachments=INVENTED * 3),
    "3,000 mentions": send("hello", mentions=INVENTED * 3),
    "a poll of blank options": send("", contentType="poll", data={"question": "?", "options": [" " * 300] * 20}),
    "typing in invented chats": lambda at: frame("typing.start", {"chatId": str(uuid4().int % 10**18)}),
    "delivered in an invented chat": lambda at: frame("message.delivered", {"chatId": INVENTED[0], "seq": 1}),
    "read of an invented message": lambda at: frame("read.mark", {"chatId": at.chat, "messageId": INVENTED[0]}),
    "presence of 100 invented people": lambda at: frame("presence.subscribe", {"userIds": INVENTED[:100]}),
    "a reaction to an invented message": lambda at: frame(
        "message.react", {"messageId": INVENTED[0], "emoji": "\U0001f44d", "action": "add"}
    ),
    "an edit of an invented message": lambda at: frame(
        "message.edit", {"messageId": INVENTED[0], "content": text("*_~a~_*"), "version": 1}
    ),
    "a sync of 1,000 invented chats": lambda at: frame(
        "sync.request", {"chats": {chat: {"seq": 1, "rev": 1} for chat in INVENTED}}
    ),
    "a binary frame": lambda at: bytes((DELIVERED, 1, 1)) * (LIMITS.indicator_bytes // 3),
    "a large binary frame": lambda at: bytes((DELIVERED, 1, 1)) * 21_000,
}


@pytest.fixture(scope="module")
def place(open_database: None) -> Iterator[Place]:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    with serve(
        settings.DATABASES["default"]["NAME"],
        PARLEY_LIMIT_MESSAGES_PER_MINUTE="1",
        PARLEY_LIMIT_CHANGES_PER_MINUTE="1",
        PARLEY_LIMIT_BAD_FRAMES="1000",
        PARLEY_LIMIT_FRAMES_PER_SECOND="1000000",
        PARLEY_LIMIT_FRAME_BYTES_PER_SECOND="1000000000",
    ) as server:
        yield Place(server, ada, str(chat))


@pytest.fixture(scope="module")
async def echo(place: Place) -> float:
    """The CPU seconds of a ping whose pong is awaited before the next one: many in one read would be cheaper."""
    async with connected(place.server, place.person) as client:
        before = spent(place.server.process.pid)
        for _ in range(PINGS_SENT):
            await client.send("ping", {})
            await client.expect("pong")
        return (spent(place.server.process.pid) - before) / PINGS_SENT


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
async def test_frame_costs_no_more_than_it_is_charged(
    place: Place, echo: float, hostile: Callable[[Place], str | bytes]
) -> None:
    contents = [hostile(place) for _ in range(FRAMES_SENT)]
    frames = sum(map(charged, contents))
    assert await cpu(place, contents) / frames < MOST_PINGS * echo


def charged(content: str | bytes) -> float:
    """Return how many ordinary frames of no size a frame is charged as."""
    cost = 1
    if isinstance(content, str) and content.endswith("}"):
        type_ = json.loads(content)["type"]
        route = FRAMES.get(ALIASES.get(type_, type_))
        cost = route.cost if route else 1
        payload = json.loads(content)["payload"]
        cost += len(payload.get("chats", ())) // CHATS_CHARGED + COST_BY_MESSAGE * (type_ == "read.mark")
    elif isinstance(content, bytes):
        cost += len(content) // INDICATOR_BYTES_CHARGED
    return cost + len(content) * LIMITS.frames_per_second / LIMITS.frame_bytes_per_second


async def cpu(at: Place, contents: list[str | bytes]) -> float:
    """Send frames. Return the CPU seconds of the web process until it has handled all of them."""
    async with connected(at.server, at.person, "?compact=1", max_size=None) as client:
        before = spent(at.server.process.pid)
        for content in contents:
            await client.socket.send(content)
        await client.settled()
        return spent(at.server.process.pid) - before


def spent(pid: int) -> float:
    """Return the CPU seconds of a process, of all its threads, to a nanosecond."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9
