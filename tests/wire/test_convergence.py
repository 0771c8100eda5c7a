"""Two clients send, disconnect, resume, resend and sync on two processes: both end with the database's history."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from chat.models import Message
from gateway.redis_clients import thread_client
from tests.clients import connected
from tests.factories import direct, someone
from tests.wire.chat_client import ChatClient, Held
from tests.wire.conftest import Two

WHO = st.integers(0, 1)
WHERE = st.integers(0, 1)
STEP_SECONDS = 20


class Conversation(RuleBasedStateMachine):
    """After any sequence of steps: each message exactly once, in one order, which keeps each sender's order."""

    two: Two

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(asyncio.wait_for(work, STEP_SECONDS))

    @initialize(places=st.tuples(WHERE, WHERE))
    def begin(self, places: tuple[int, int]) -> None:
        ada, bob = someone("Ada"), someone("Bob")
        self.chat = direct(ada, bob)
        self.clients = [ChatClient(ada, self.chat), ChatClient(bob, self.chat)]
        for client, place in zip(self.clients, places, strict=True):
            self.run(client.connect(self.two[place], resume=False))

    @rule(who=WHO, count=st.integers(1, 12))
    def say(self, who: int, count: int) -> None:
        if self.clients[who].socket:
            self.run(self.clients[who].say(count))

    @rule(who=WHO, part=st.floats(0, 1))
    def repeat(self, who: int, part: float) -> None:
        """Resend an earlier message, acked or not."""
        client = self.clients[who]
        if client.socket and client.said:
            self.run(client.put(list(client.said)[int(part * (len(client.said) - 1))]))

    @rule(who=WHO)
    def listen(self, who: int) -> None:
        if self.clients[who].socket:
            self.run(self.clients[who].listen())

    @rule(who=WHO)
    def sync(self, who: int) -> None:
        if self.clients[who].socket:
            self.run(self.clients[who].sync())

    @rule(who=WHO)
    def drop(self, who: int) -> None:
        if self.clients[who].socket:
            self.clients[who].drop()

    @rule(who=WHO, place=WHERE, resume=st.booleans())
    def come_back(self, who: int, place: int, resume: bool) -> None:
        if not self.clients[who].socket:
            self.run(self.clients[who].connect(self.two[place], resume=resume))

    def teardown(self) -> None:
        """Reconnect and sync all clients, and compare their histories with the database."""
        if hasattr(self, "clients"):
            for client in self.clients:
                if not client.socket:
                    self.run(client.connect(self.two.one, resume=False))
                self.run(client.all_acked())
            last = Message.objects.filter(conversation_id=self.chat).count()
            for client in self.clients:
                self.run(client.reach(last))
            self.compare()
            for client in self.clients:
                client.drop()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def compare(self) -> None:
        rows = Message.objects.filter(conversation_id=self.chat).order_by("seq")
        history = {row.seq: Held(str(row.id), str(row.client_id), row.content) for row in rows}
        assert list(history) == list(range(1, len(history) + 1))
        for client in self.clients:
            assert client.held == history
            own = [held.client_id for held in history.values() if held.client_id in client.said]
            assert own == list(client.said), "each once, in the order of saying"
            if not client.resumed:
                assert client.live == sorted(set(client.live)), "a connection is told each message once, in order"


class Shaken(Conversation):
    """The same, while the processes repeatedly lose their connection to the bus."""

    @rule()
    def lose_the_bus(self) -> None:
        thread_client().client_kill_filter(_type="pubsub")


async def both_are_well(two: Two) -> None:
    """Wait until each process receives from the bus again."""
    for server in two:
        degraded = ["?"]
        while degraded:
            async with connected(server, someone()) as client:
                degraded = client.hello["degraded"]


def test_clients_converge_while_processes_lose_their_bus(two: Two) -> None:
    Conversation.two = two
    run_state_machine_as_test(
        Shaken,
        settings=settings(
            max_examples=5, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    asyncio.run(both_are_well(two))


def test_clients_converge_to_the_history_of_the_database(two: Two) -> None:
    Conversation.two = two
    run_state_machine_as_test(
        Conversation,
        settings=settings(
            max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
