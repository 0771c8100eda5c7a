"""A process that stops or is killed: acked messages are stored, others are acked or resent (C, K29)."""

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
import websockets
from django.conf import settings
from django.db import connection

from chat.messages import ingest, validation
from chat.models import Message
from gateway.ids import ConversationId, UserId
from tests.clients import Client, bearer, connected, opened
from tests.factories import direct, someone
from tests.servers import Server, start

SENT = 400


def database() -> str:
    return str(settings.DATABASES["default"]["NAME"])


async def pipeline(client: Client, chat: int, ids: list[str]) -> None:
    """Send a message for each id without waiting for acks, until the connection closes."""
    try:
        for number, id_ in enumerate(ids):
            await client.send("message.send", {"chatId": str(chat), "content": f"{number}"}, id_=id_)
    except websockets.ConnectionClosed:
        return


async def collect(client: Client) -> dict[str, dict[str, object]]:
    """Return the acks that arrive before the connection closes, by frame id."""
    try:
        while True:
            client.frames.append(json.loads(await client.socket.recv()))
    except websockets.ConnectionClosed:
        return {f["payload"]["refId"]: f["payload"] for f in client.frames if f["type"] == "ack"}


@pytest.mark.parametrize("kind", ["uvicorn", "daphne"])
async def test_sigterm_acks_frames_in_flight_and_closes_with_a_reconnect_delay(kind: str) -> None:
    ada, bob = someone(), someone()
    chat, ids = direct(ada, bob), [str(uuid4()) for _ in range(SENT)]
    server = start(database(), PARLEY_SERVER=kind)
    async with AsyncExitStack() as stack:
        sender = await stack.enter_async_context(connected(server, ada))
        idle = [await stack.enter_async_context(connected(server, someone())) for _ in range(8)]
        sending = asyncio.create_task(pipeline(sender, chat, ids))
        await sender.expect("ack")
        server.terminate()
        closes = [await client.close() for client in [sender, *idle]]
        await sending
    assert server.process.wait(20) in (0, -signal.SIGTERM)

    assert {close.code for close in closes} == {4503}
    seconds = [int(close.reason) for close in closes]
    assert all(1 <= second <= 10 for second in seconds)
    assert len(set(seconds)) > 1, "everybody comes back at once"
    acked = [frame["payload"] for frame in sender.frames if frame["type"] == "ack"]
    stored = {str(m.client_id): m for m in Message.objects.filter(conversation_id=chat)}
    assert len(stored) == len(acked) + 1, "stored, but not acked"
    for ack in acked:
        assert (ack["status"], str(stored[ack["refId"]].id)) == ("ok", ack["messageId"])
    server.log.unlink()


@pytest.mark.parametrize("kind", ["uvicorn", "daphne"])
async def test_stopping_process_refuses_connections(kind: str) -> None:
    """uvicorn closes its port first; Daphne still answers, with a reconnect delay."""
    server = start(database(), PARLEY_SERVER=kind)
    ada = someone()
    async with connected(server, ada) as client:
        server.terminate()
        assert await client.closed() == 4503
    try:
        async with opened(server, headers=bearer(ada.access)) as newcomer:
            assert await newcomer.first() in ("4503", "1006")
    except (OSError, websockets.InvalidHandshake):
        pass
    server.process.wait(20)
    server.log.unlink()


@pytest.mark.parametrize("kind", ["uvicorn", "daphne"])
async def test_killed_process_loses_no_acked_message(kind: str) -> None:
    ada, bob = someone(), someone()
    chat, ids = direct(ada, bob), [str(uuid4()) for _ in range(SENT)]
    first, second = start(database(), PARLEY_SERVER=kind), start(database(), PARLEY_SERVER=kind)
    try:
        async with connected(first, ada) as sender:
            sending = asyncio.create_task(pipeline(sender, chat, ids))
            for _ in range(20):
                await sender.expect("ack")
            first.kill()
            acks = await collect(sender)
            await sending
        stored = {str(m.client_id): m for m in Message.objects.filter(conversation_id=chat)}
        assert set(acks) <= set(stored), "acked, but not stored"
        for id_, ack in acks.items():
            assert (str(stored[id_].id), stored[id_].seq) == (ack["messageId"], ack["seq"])

        async with connected(second, ada) as again, connected(second, bob) as other:
            for number, id_ in enumerate(ids):
                await again.send("message.send", {"chatId": str(chat), "content": f"{number}"}, id_=id_)
            answers = {ack["refId"]: ack for ack in [await again.expect("ack") for _ in ids]}
            response = await other.call("sync.request", {"chats": {str(chat): {"seq": 0, "rev": 0}}})
        assert response["status"] == "ok"
        for id_ in ids:
            assert answers[id_]["duplicate"] is (id_ in stored)
            if id_ in stored:
                assert (answers[id_]["seq"], answers[id_]["messageId"]) == (stored[id_].seq, str(stored[id_].id))
        rows = list(Message.objects.filter(conversation_id=chat).order_by("seq"))
        assert [row.seq for row in rows] == list(range(1, SENT + 1))
        assert [str(row.client_id) for row in rows] == ids, "the sender's order"
    finally:
        second.terminate()
        second.process.wait(20)
        first.log.unlink()
        second.log.unlink()


async def test_message_stored_but_unpublished_by_a_killed_process_reaches_members_elsewhere(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    dying = start(database())
    try:
        async with connected(dying, ada) as a, connected(server, bob) as b:
            await a.say(chat, "told")
            assert [message["content"] for message in await b.news(1)] == ["told"]
            store_untold(ada.id, chat, "untold")
            dying.kill()
            assert [(message["seq"], message["content"]) for message in await b.news(1)] == [(2, "untold")]
            assert await b.settled() == []
    finally:
        dying.log.unlink()


def store_untold(sender_id: UserId, chat: int, content: str) -> None:
    """Commit a message without publishing it, like a process that is killed right after the commit."""
    draft = validation.draft(
        conversation_id=ConversationId(chat), sender_id=sender_id, client_id=str(uuid4()), content=content
    )
    with connection.cursor() as cursor:
        cursor.execute(ingest.STORE, ingest._columns([draft], careful=True))
        assert cursor.fetchone()[0] == "stored"
