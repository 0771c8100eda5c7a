"""Members come and go: intervals, versions, rights, and what each one gets to see."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts import blocks, contacts, privacy
from chat import read_state
from chat.conversations import conversations, members, queries
from chat.messages import history
from chat.models import Conversation, Member
from chat.refusals import GroupTooLarge, NotAMember
from gateway.bus import Event
from gateway.errors import Forbidden, InvalidPayload, NotFound, Refused
from gateway.ids import ConversationId
from tests.chat import rows
from tests.factories import Someone, direct, draft, group, say, say_many, someone, store


def contents(person: Someone, chat: int) -> list[str]:
    """Return what people said that the person may see, without the system messages."""
    page = history.page_before(person.id, ConversationId(chat), before=None, limit=100)
    return [m.content for m in page.messages if m.content_type != "system"]


def announced(chat: int) -> list[tuple[str, str]]:
    """Return the system messages: each one's event and text."""
    return [(data["event"], text) for data, text in rows.announced(ConversationId(chat))]


def test_added_member_starts_read_and_receives_new_messages() -> None:
    ada, bob = someone(), someone()
    chat = group(ada)
    say_many(ada, chat, 3)

    members.add(ada.id, chat, bob.id)
    say(ada, chat, "welcome")

    row = rows.member(bob, chat)
    assert (row.n, row.role, row.joined_seq, row.read_seq, row.left_seq) == (2, "member", 3, 3, None)
    assert queries.conversation(bob.viewer, chat).unread_count == 1
    assert contents(bob, chat) == ["1", "2", "3", "welcome"], "newcomers read what was said before (F36)"


def test_unshared_history_shows_only_own_intervals() -> None:
    ada, bob = someone(), someone()
    chat = group(ada)
    rows.change(chat, {"shares_history": False})

    for n in range(2):
        say(ada, chat, f"without {n}")
        members.add(ada.id, chat, bob.id)
        say(ada, chat, f"with {n}")
        members.remove(ada.id, chat, bob.id)
    say(ada, chat, "without 2")

    assert contents(bob, chat) == ["with 0", "with 1"]
    assert len(contents(ada, chat)) == 5


def test_former_member_sees_nothing_later() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    before = say(ada, chat, "before")
    members.remove(bob.id, chat, bob.id)
    after = say(ada, chat, "after")

    assert history.message_by_id(bob.viewer, before.id).content == "before", "what was sent to them is theirs (K44)"
    with pytest.raises(NotFound):
        history.message_by_id(bob.viewer, after.id)
    with pytest.raises(NotAMember):
        history.page(bob.viewer, chat, limit=10)
    assert rows.member(bob, chat).left_seq == before.seq + 1, "the last that they are told is that they left"


def test_rejoining_creates_a_new_interval_and_number() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    members.remove(ada.id, chat, bob.id)
    say(ada, chat)
    members.add(ada.id, chat, bob.id)

    intervals = Member.objects.filter(conversation_id=chat, user_id=bob.id).order_by("id")
    assert [(m.n, m.joined_seq, m.left_seq) for m in intervals] == [(2, 0, 1), (3, 2, None)]
    assert queries.conversation(bob.viewer, chat).member_count == 2


def test_each_membership_change_makes_a_rev_and_is_published_to_members(told: list[Event]) -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob)
    told.clear()

    members.add(ada.id, chat, cem.id)
    members.remove(ada.id, chat, bob.id)

    row = Conversation.objects.get(id=chat)
    assert (row.rev, row.members_version, row.member_count, row.last_seq) == (5, 3, 2, 2)
    assert [(e.rev, e.version, e.seq) for e in told if e.conversation_id] == [
        (2, 2, 0), (3, 2, 1),  # came, and the message that says so
        (4, 2, 2), (5, 3, 0),  # the message that says so, and went
    ]  # fmt: skip
    personal = [(e.users, msgspec.json.decode(e.frame)["type"]) for e in told if e.users]
    assert personal == [([cem.id], "chat.created"), ([bob.id], "chat.removed")]


def test_adding_a_present_member_changes_nothing(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    told.clear()

    members.add(ada.id, chat, bob.id)

    assert rows.counters(chat) == (0, 1)
    assert [e for e in told if e.conversation_id] == []


@pytest.mark.parametrize("right", [members.add, members.remove])
def test_only_admins_change_members(right: Callable[[int, int, int], None]) -> None:
    ada, bob, cem, eve = someone(), someone(), someone(), someone()
    chat = group(ada, bob, cem)
    other = eve if right is members.add else cem

    refused: dict[str, type[Refused]] = {}
    for name, person in (("member", bob), ("stranger", eve)):
        with pytest.raises(Refused) as fault:
            right(person.id, chat, other.id)
        refused[name] = type(fault.value)
    Member.objects.filter(conversation_id=chat, user_id=bob.id).update(role="admin")
    right(bob.id, chat, other.id)

    assert refused == {"member": Forbidden, "stranger": NotAMember}
    assert rows.counters(chat) == (1, 3)


def test_owner_cannot_be_removed_but_may_leave() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    Member.objects.filter(conversation_id=chat, user_id=cem.id).update(role="admin")

    with pytest.raises(Forbidden):
        members.remove(cem.id, chat, ada.id)
    members.remove(ada.id, chat, ada.id)

    assert rows.member(cem, chat).role == "owner", "the earliest admin is the heir"
    assert rows.member(bob, chat).role == "member"


def test_group_is_never_left_without_an_admin() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)

    members.remove(ada.id, chat, ada.id)
    assert (rows.member(bob, chat).role, rows.member(cem, chat).role) == ("owner", "member")

    members.remove(bob.id, chat, bob.id)
    members.remove(cem.id, chat, cem.id)
    assert Conversation.objects.get(id=chat).member_count == 0


def test_direct_chat_membership_cannot_change() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = direct(ada, bob)

    with pytest.raises(Refused):
        members.add(ada.id, chat, cem.id)
    with pytest.raises(Refused):
        members.remove(ada.id, chat, ada.id)

    assert Conversation.objects.get(id=chat).member_count == 2
    assert store([draft(ada, chat)])[0].outcome == "stored"


def test_adding_unknown_and_removing_absent_users_is_refused() -> None:
    ada, eve = someone(), someone()
    chat = group(ada)

    with pytest.raises(NotFound):
        members.add(ada.id, chat, 1)
    with pytest.raises(NotFound):
        members.remove(ada.id, chat, eve.id)


def test_group_has_a_member_limit(settings: Settings) -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob)
    settings.LIMITS = replace(settings.LIMITS, max_group_members=2)

    with pytest.raises(GroupTooLarge):
        members.add(ada.id, chat, cem.id)

    settings.LIMITS = replace(settings.LIMITS, max_group_members=3)
    members.add(ada.id, chat, cem.id)
    assert Conversation.objects.get(id=chat).member_count == 3


def test_several_members_are_added_under_one_version() -> None:
    ada, bob, cem, dan = someone("Ada"), someone("Bob"), someone("Cem"), someone("Dan")
    chat = group(ada, bob)

    members.add(ada.id, chat, cem.id, bob.id, dan.id, cem.id)

    row = Conversation.objects.get(id=chat)
    assert (row.member_count, row.members_version, row.next_n) == (4, 2, 5)
    assert announced(chat) == [("added", "Ada added Cem, Dan")]
    with pytest.raises(NotFound):
        members.add(ada.id, chat, someone().id, 1)
    assert Conversation.objects.get(id=chat).rev == row.rev, "all of them or none"


def test_joins_and_leaves_are_announced_in_small_chats_only(settings: Settings) -> None:
    ada, bob, cem = someone("Ada"), someone("Bob"), someone("Cem")
    chat = group(ada, bob)

    members.add(ada.id, chat, cem.id)
    members.remove(cem.id, chat, cem.id)
    members.remove(ada.id, chat, bob.id)
    settings.LIMITS = replace(settings.LIMITS, fanout_threshold=2)
    members.add(ada.id, chat, bob.id)

    assert announced(chat) == [("added", "Ada added Cem"), ("left", "Cem left"), ("removed", "Ada removed Bob")]
    assert queries.conversation(ada.viewer, chat).unread_count == 0, "system messages are nothing to catch up with"


def roles(chat: int, *people: Someone) -> list[str]:
    return [rows.member(person, ConversationId(chat)).role for person in people]


def test_admins_promote_and_only_the_owner_demotes_or_hands_over() -> None:
    ada, bob, cem, dan = someone("Ada"), someone("Bob"), someone("Cem"), someone("Dan")
    chat = group(ada, bob, cem, dan)

    with pytest.raises(Forbidden):
        members.set_role(bob.id, chat, cem.id, "admin")
    members.set_role(ada.id, chat, bob.id, "admin")
    members.set_role(bob.id, chat, cem.id, "admin")
    for whom, role in ((cem, "member"), (dan, "owner"), (ada, "member"), (ada, "admin")):
        with pytest.raises(Forbidden):
            members.set_role(bob.id, chat, whom.id, role)
    members.set_role(cem.id, chat, cem.id, "member")
    members.set_role(ada.id, chat, bob.id, "member")
    members.set_role(ada.id, chat, bob.id, "owner")

    assert roles(chat, ada, bob, cem, dan) == ["admin", "owner", "member", "member"]
    assert announced(chat) == [
        ("role", "Ada made Bob an admin"),
        ("role", "Bob made Cem an admin"),
        ("role", "Cem is no admin any more"),
        ("role", "Bob is no admin any more"),
        ("role", "Ada made Bob the owner"),
    ]


def test_unchanged_role_makes_no_rev_and_unknown_role_is_refused() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    before = rows.counters(chat)

    members.set_role(ada.id, chat, bob.id, "member")
    members.set_role(ada.id, chat, ada.id, "owner")

    assert rows.counters(chat) == before
    with pytest.raises(InvalidPayload):
        members.set_role(ada.id, chat, bob.id, "king")
    with pytest.raises(NotFound):
        members.set_role(ada.id, chat, someone().id, "admin")


def test_contacts_only_user_is_added_by_contacts_only() -> None:
    """F246."""
    ada, bob = someone(), someone()
    chat = group(ada)
    privacy.change(bob.id, settings={"who_can_message": "contacts"})

    with pytest.raises(Forbidden):
        members.add(ada.id, chat, bob.id)
    with pytest.raises(Forbidden):
        conversations.create_group(ada.id, "Tea", [bob.id])
    with pytest.raises(Forbidden):
        conversations.open_direct(ada.id, bob.id)
    assert not Conversation.objects.filter(created_by_id=ada.id).exclude(id=chat).exists()

    contacts.add(bob.id, ada.id)
    members.add(ada.id, chat, bob.id)
    assert conversations.open_direct(ada.id, bob.id)[1]


def test_blocked_user_cannot_add_the_blocker() -> None:
    """F246, F230: they are not there for the blocked person."""
    ada, bob = someone(), someone()
    chat = group(ada)
    blocks.block(bob.id, ada.id)

    with pytest.raises(NotFound):
        members.add(ada.id, chat, bob.id)

    blocks.unblock(bob.id, ada.id)
    members.add(ada.id, chat, bob.id)
    assert rows.member(bob, chat).left_seq is None


def test_all_members_are_listed_in_pages(many: list[Someone]) -> None:
    ada = someone()
    chat = group(ada, *many)

    first, following = read_state.page(ada.viewer, chat)
    second, end = read_state.page(ada.viewer, chat, after=following or 0)

    assert (len(first), following, end) == (100, 100, None)
    assert [m.user_id for m in first + second] == [str(person.id) for person in (ada, *many)]
    assert [m.role for m in first[:2]] == ["owner", "member"]


def test_query_count_of_adding_members_is_constant(many: list[Someone]) -> None:
    ada, costs = someone(), []
    for newcomers in (many[:60], many):
        chat = group(ada)
        with CaptureQueriesContext(connection) as queries_made:
            members.add(ada.id, chat, *(person.id for person in newcomers))
        costs.append(len(queries_made))

    assert costs[0] == costs[1]
