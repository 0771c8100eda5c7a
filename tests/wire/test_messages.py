"""Two users on real sockets, on both servers: a message is stored, acked, delivered and marked; typing."""

from tests.clients import connected
from tests.factories import direct, someone
from tests.servers import Server


async def test_message_is_acked_and_reaches_the_other_member(either_server: Server) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = direct(ada, bob)

    async with connected(either_server, ada) as a, connected(either_server, bob) as b:
        ack = await a.say(chat, "Good morning")
        new = await b.expect("message.new")

    assert (ack["status"], ack["seq"], ack["duplicate"]) == ("ok", 1, False)
    assert new["message"]["id"] == ack["messageId"]
    assert new["message"]["content"] == "Good morning"
    assert new["message"]["sender"] == {"id": str(ada.id), "displayName": "Ada"}


async def test_resent_message_gets_the_first_ack(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    async with connected(either_server, ada) as a, connected(either_server, bob) as b:
        first = await a.call(
            "message.send", {"chatId": str(chat), "content": "once"}, id_="6d8b5cf4-5f6e-4c4e-8bb5-0d7d2bb0a7a1"
        )
        again = await a.call(
            "message.send", {"chatId": str(chat), "content": "once"}, id_="6d8b5cf4-5f6e-4c4e-8bb5-0d7d2bb0a7a1"
        )
        await b.expect("message.new")
        later = await b.settled()

    assert again == {**first, "duplicate": True}
    assert [frame["type"] for frame in later if frame["type"] == "message.new"] == []


async def test_marks_reach_the_sender(either_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    async with connected(either_server, ada) as a, connected(either_server, bob) as b:
        ack = await a.say(chat)
        await b.send("message.delivered", {"chatId": str(chat), "seq": ack["seq"]})
        delivered = await a.expect("delivery.receipt")
        await b.send("read.mark", {"chatId": str(chat), "messageId": ack["messageId"]})
        seen = await a.expect("read.receipt")

    assert delivered["receipts"] == [{"userId": str(bob.id), "seq": 1}]
    assert seen["receipts"] == [{"userId": str(bob.id), "messageId": ack["messageId"], "seq": 1}]


async def test_typing_stops_before_the_message_arrives(either_server: Server) -> None:
    ada, bob = someone("Ada"), someone()
    chat = direct(ada, bob)

    async with connected(either_server, ada) as a, connected(either_server, bob) as b:
        await a.send("typing.start", {"chatId": str(chat)})
        begun = await b.expect("typing.indicator")
        await a.say(chat)
        await b.expect("message.new")

    assert (begun["active"], begun["displayName"]) == (True, "Ada")
    assert [frame["payload"]["active"] for frame in b.frames if frame["type"] == "typing.indicator"] == [False]
