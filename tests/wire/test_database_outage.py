"""Database connections break during sends: each message is stored once, acked and published."""

from django.conf import settings
from django.db import connection

from chat.models import Message
from tests.clients import connected, until
from tests.factories import direct, someone
from tests.servers import serve

# Only this test's server: its sessions bear a name of their own.
CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s"
MANY, CUTS = 300, 5


def cut(name: str) -> int:
    """Terminate all database sessions of a server. Return their number."""
    with connection.cursor() as cursor:
        cursor.execute(CUT, [name])
        return int(cursor.fetchone()[0])


async def test_sends_survive_broken_database_connections(open_database: None) -> None:
    ada, bob = someone(), someone()
    chat, name = direct(ada, bob), f"cut-{ada.id}"
    with serve(settings.DATABASES["default"]["NAME"], PGAPPNAME=name) as server:
        async with connected(server, ada) as a, connected(server, bob) as b:
            ids, acks = [], []
            for number in range(MANY):
                ids.append(await a.send("message.send", {"chatId": str(chat), "content": f"{number}"}))
                if number % (MANY // CUTS) == 0:
                    acks.append(await a.expect("ack"))
                    await until(lambda: cut(name) > 0)
            acks += [await a.expect("ack") for _ in range(MANY - CUTS)]
            news = await b.news(MANY)
            assert [f for f in await b.settled() if f["type"] == "message.new"] == []
    assert [(ack["refId"], ack["status"]) for ack in acks] == [(id_, "ok") for id_ in ids]
    rows = Message.objects.filter(conversation_id=chat).order_by("seq")
    assert [str(row.client_id) for row in rows] == ids
    assert [message["clientId"] for message in news] == ids
