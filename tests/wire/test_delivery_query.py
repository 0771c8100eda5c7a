"""The delivery reports of all processes for a message, queried through any of them (F347)."""

from typing import Any

from accounts import blocks
from tests.chat.rest import Api
from tests.clients import connected, until
from tests.factories import another_device, direct, group, someone
from tests.receipts.test_traces import make_staff
from tests.wire.conftest import Two


async def test_staff_trace_shows_gateway_and_connection_of_each_delivery(two: Two) -> None:
    ada, bob, cay, eve = someone(), someone(), someone(), make_staff()
    desk, late, chat = another_device(bob), another_device(bob), group(ada, bob, cay)
    async with connected(two.one, ada) as a, connected(two.other, bob) as phone:
        async with connected(two.one, desk) as d:
            message = (await a.say(chat))["messageId"]
            await phone.news(1)
            await d.news(1)
        async with connected(two.other, late) as again:
            await again.settled()
            trace: dict[str, Any] = {}

            def complete() -> bool:
                """Wait for all reports: a process killed by an earlier test is still counted for three seconds."""
                trace.update(Api(two.one, eve).get(f"messages/{message}/trace?reason=ticket").body)
                ends = [c["closeCode"] for r in trace["recipients"] for c in r["connections"] or ()]
                return trace["silentGateways"] == 0 and any(ends)

            await until(complete)
            hers = Api(two.other, ada).get(f"messages/{message}/trace")
            await phone.send("message.delivered", {"chatId": str(chat), "seq": 1})
            await a.expect("delivery.receipt")
            acked = Api(two.other, ada).get(f"messages/{message}/trace")

    found = {r["userId"]: r["connections"] for r in trace["recipients"]}
    by_device = {int(c["deviceId"]): c for c in found[str(bob.id)]}
    at = {g["gateway"]: g["toldAt"] for g in trace["gateways"]}
    assert len(at) == len({g["host"] for g in trace["gateways"]}) == 2
    assert found[str(cay.id)] == []
    assert by_device.keys() == {bob.device_id, desk.device_id, late.device_id}
    assert by_device[bob.device_id]["handedAt"] == at[by_device[bob.device_id]["gateway"]]
    assert by_device[bob.device_id]["connectionId"] == phone.hello["connectionId"]
    assert by_device[bob.device_id]["gateway"] != by_device[desk.device_id]["gateway"]
    assert (by_device[bob.device_id]["closedAt"], by_device[desk.device_id]["closeCode"]) == (None, 1000)
    assert by_device[late.device_id]["handedAt"] is None
    assert (hers.body["gateways"], [r["connections"] for r in hers.body["recipients"]]) == ([], [None, None])
    assert {(g["gateway"], g["host"]) for g in acked.body["gateways"]} == {(name, None) for name in at}


async def test_trace_shows_no_delivery_to_members_who_block_the_sender(two: Two) -> None:
    """One block in a direct chat, one in a group."""
    ada, bob, cay, eve = someone(), someone(), someone(), make_staff()
    pair, many = direct(ada, bob), group(ada, bob, cay)
    blocks.block(bob.id, ada.id)
    async with connected(two.one, ada) as a, connected(two.other, bob), connected(two.other, cay) as c:
        hidden, skipped = (await a.say(pair))["messageId"], (await a.say(many))["messageId"]
        await c.news(1)
        traces = [
            Api(two.one, eve).get(f"messages/{message}/trace?reason=ticket").body for message in (hidden, skipped)
        ]

    handed = [{r["userId"]: len(r["connections"]) for r in trace["recipients"]} for trace in traces]
    assert handed == [{str(bob.id): 0}, {str(bob.id): 0, str(cay.id): 1}]
    assert [len(trace["gateways"]) for trace in traces] == [0, 1]
