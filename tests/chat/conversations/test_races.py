"""Changes of members that collide with sends and with each other: one of them comes first, and the end is the same for all."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import pytest
from django.conf import settings

from accounts import blocks
from chat.conversations import conversations, members
from chat.models import Conversation, Member, Message
from chat.teams import channels, teams
from gateway.errors import Refused
from gateway.ids import ConversationId
from tests.chat import rows
from tests.chat.sessions import at_once
from tests.clients import Client, connected
from tests.factories import Someone, direct, draft, group, someone, store
from tests.servers import Server, serve

SENDERS, EACH = 4, 250
ROUNDS = 6
R = TypeVar("R")


@pytest.fixture(scope="module")
def other(open_database: None) -> Iterator[Server]:
    """A second web process beside `server`."""
    with serve(settings.DATABASES["default"]["NAME"]) as running:
        yield running


def tried(act: Callable[[], object]) -> Callable[[], str]:
    """Return a job that does something, or says by which code it was refused."""

    def job() -> str:
        try:
            act()
        except Refused as refusal:
            return refusal.code
        return "done"

    return job


def against(write: Callable[[], list[R]], act: Callable[[], object]) -> list[R]:
    """Write and do something else at once; return what became of the writing."""

    def beside() -> list[R]:
        act()
        return []

    return at_once([write, beside])[0]


def consistent(chat: int) -> Conversation:
    """Check that a conversation's counters are those of its rows, and that somebody owns it while anybody is in it."""
    row = Conversation.objects.get(id=chat)
    present = Member.objects.filter(conversation_id=chat, left_seq=None)
    seqs = list(Message.objects.filter(conversation_id=chat).order_by("seq").values_list("seq", flat=True))
    assert row.member_count == present.count()
    assert seqs == list(range(1, row.last_seq + 1))
    assert not present.exists() or present.filter(role="owner").count() == 1
    assert len(set(present.values_list("n", flat=True))) == row.member_count
    return row


def owner_of(chat: int) -> int | None:
    return (
        Member.objects.filter(conversation_id=chat, left_seq=None, role="owner")
        .values_list("user_id", flat=True)
        .first()
    )


async def test_member_removed_during_sends_receives_exactly_the_earlier_messages(server: Server, other: Server) -> None:
    """F61: senders and listeners on two web processes, the removal in a third one."""
    ada, bob, cay = someone(), someone(), someone()
    senders = [someone() for _ in range(SENDERS)]
    chat = group(ada, bob, cay, *senders)
    places = [(server, other)[n % 2] for n in range(SENDERS)]
    begun = asyncio.Event()

    async def send_all(client: Client) -> None:
        for n in range(EACH):
            await client.send("message.send", {"chatId": str(chat), "content": f"{n}"})
        for n in range(EACH):
            assert (await client.expect("ack"))["status"] == "ok"
            if n == EACH // 5:
                begun.set()

    async def remove() -> None:
        await begun.wait()
        await asyncio.to_thread(members.remove, ada.id, chat, bob.id)

    async with (
        connected(server, bob) as one,
        connected(other, bob) as two,
        connected(server, cay) as here,
        connected(other, cay) as there,
        connected(places[0], senders[0]) as s0,
        connected(places[1], senders[1]) as s1,
        connected(places[2], senders[2]) as s2,
        connected(places[3], senders[3]) as s3,
    ):
        await asyncio.gather(remove(), *(send_all(client) for client in (s0, s1, s2, s3)))
        await s0.send("message.send", {"chatId": str(chat), "content": "after the removal, however late that came"})
        assert (await s0.expect("ack"))["status"] == "ok"
        total = SENDERS * EACH + 2
        stayed = [[m["seq"] for m in await client.news(total)] for client in (here, there)]
        removed = []
        for client in (one, two):
            await client.expect("chat.removed", lambda payload: payload["chatId"] == str(chat))
            removed.append(
                [f["payload"]["message"]["seq"] for f in await client.settled() if f["type"] == "message.new"]
            )

    left = rows.member(bob, chat).left_seq
    assert left is not None and 0 < left < total, "in the midst of the sends"
    assert removed == [list(range(1, left + 1))] * 2
    assert stayed == [list(range(1, total + 1))] * 2
    assert consistent(chat).member_count == 2 + SENDERS


def test_concurrent_leave_ends_the_members_sends() -> None:
    for _ in range(ROUNDS):
        ada, bob = someone(), someone()
        chat = group(ada, bob)

        def write(bob: Someone = bob, chat: int = chat) -> list[str]:
            return [store([draft(bob, ConversationId(chat))])[0].outcome for _ in range(12)]

        outcomes = against(write, partial(members.remove, bob.id, chat, bob.id))

        kept = outcomes.count("stored")
        assert outcomes == ["stored"] * kept + ["NOT_A_MEMBER"] * (12 - kept)
        left = rows.member(bob, chat).left_seq
        assert left == kept + 1, "all that they sent, and that they left"
        assert consistent(chat).members_version == 2


def test_concurrent_block_hides_all_later_messages() -> None:
    for _ in range(ROUNDS):
        ada, bob = someone(), someone()
        chat = direct(ada, bob)

        def write(bob: Someone = bob, chat: int = chat) -> list[bool]:
            return [store([draft(bob, ConversationId(chat))])[0].hidden for _ in range(12)]

        hidden = against(write, partial(blocks.block, ada.id, bob.id))

        shown = hidden.count(False)
        assert hidden == [False] * shown + [True] * (12 - shown)
        assert (
            list(Message.objects.filter(conversation_id=chat).order_by("seq").values_list("hidden", flat=True))
            == hidden
        )
        assert store([draft(bob, chat)])[0].hidden


def two_admins() -> tuple[int, Someone, Someone, Someone]:
    owner, one, two = someone(), someone(), someone()
    chat = group(owner, one, two)
    Member.objects.filter(conversation_id=chat, user_id__in=(one.id, two.id)).update(role="admin")
    return chat, owner, one, two


def test_concurrent_mutual_removal_leaves_one_admin() -> None:
    for _ in range(ROUNDS):
        chat, _, one, two = two_admins()

        outcomes = at_once(
            [
                tried(partial(members.remove, one.id, ConversationId(chat), two.id)),
                tried(partial(members.remove, two.id, ConversationId(chat), one.id)),
            ]
        )

        assert sorted(outcomes) == ["NOT_A_MEMBER", "done"]
        row = consistent(chat)
        assert (row.member_count, row.members_version) == (2, 2)


def test_concurrent_promotion_and_removal_are_serialized() -> None:
    for _ in range(ROUNDS):
        chat, owner, one, two = two_admins()
        Member.objects.filter(conversation_id=chat, user_id=two.id).update(role="member")

        outcomes = at_once(
            [
                tried(partial(members.set_role, owner.id, ConversationId(chat), two.id, "admin")),
                tried(partial(members.remove, one.id, ConversationId(chat), two.id)),
            ]
        )

        assert outcomes in (["done", "done"], ["NOT_FOUND", "done"])
        row = consistent(chat)
        assert (row.member_count, row.members_version) == (2, 1 + outcomes.count("done"))


def test_concurrent_handovers_leave_one_owner() -> None:
    for _ in range(ROUNDS):
        chat, owner, one, two = two_admins()

        outcomes = at_once(
            [tried(partial(members.set_role, owner.id, ConversationId(chat), heir.id, "owner")) for heir in (one, two)]
        )

        assert sorted(outcomes) == ["FORBIDDEN", "done"]
        assert owner_of(chat) == (one, two)[outcomes.index("done")].id
        assert consistent(chat).members_version == 2
        assert rows.member(owner, ConversationId(chat)).role == "admin"


def test_handover_to_a_leaving_member_leaves_an_owner() -> None:
    for _ in range(ROUNDS):
        chat, owner, one, _ = two_admins()

        at_once(
            [
                tried(partial(members.set_role, owner.id, ConversationId(chat), one.id, "owner")),
                tried(partial(members.remove, one.id, ConversationId(chat), one.id)),
                tried(partial(members.remove, owner.id, ConversationId(chat), owner.id)),
            ]
        )

        consistent(chat)


def test_dissolved_conversation_stores_no_messages() -> None:
    for _ in range(ROUNDS):
        ada, bob = someone(), someone()
        chat = group(ada, bob)

        def write(bob: Someone = bob, chat: int = chat) -> list[str]:
            return [store([draft(bob, ConversationId(chat))])[0].outcome for _ in range(12)]

        outcomes = against(write, partial(conversations.dissolve, ada.id, chat))

        kept = outcomes.count("stored")
        assert outcomes == ["stored"] * kept + ["NOT_A_MEMBER"] * (12 - kept)
        row = consistent(chat)
        assert (row.member_count, row.last_seq, row.closed_at is not None) == (0, kept, True)
        assert {rows.member(person, chat).left_seq for person in (ada, bob)} == {kept}


def test_concurrent_join_and_leave_end_in_one_state() -> None:
    ada, bob = someone(), someone()
    team = teams.create(ada.id, "Crew")
    teams.add(ada.id, team, bob.id)
    chat = int(channels.create(ada.id, team, kind="channel", name="deck").id)

    for _ in range(ROUNDS):
        at_once(
            [
                tried(partial(channels.join, bob.id, ConversationId(chat))),
                tried(partial(members.remove, bob.id, ConversationId(chat), bob.id)),
                tried(partial(channels.join, bob.id, ConversationId(chat))),
            ]
        )
        consistent(chat)

    assert Member.objects.filter(conversation_id=chat, user_id=bob.id, left_seq=None).count() <= 1


def test_channel_join_is_refused_while_leaving_the_team() -> None:
    for _ in range(ROUNDS):
        ada, bob = someone(), someone()
        team = teams.create(ada.id, "Crew")
        teams.add(ada.id, team, bob.id)
        chats = [int(channels.create(ada.id, team, kind="channel", name="deck").id) for _ in range(2)]

        outcomes = at_once(
            [
                tried(partial(teams.remove, bob.id, team, bob.id)),
                tried(partial(channels.join, bob.id, ConversationId(chats[0]))),
                tried(partial(members.add, ada.id, ConversationId(chats[1]), bob.id)),
            ]
        )

        assert outcomes[0] == "done"
        assert not Member.objects.filter(conversation_id__in=chats, user_id=bob.id, left_seq=None).exists()
        for chat in chats:
            consistent(chat)
