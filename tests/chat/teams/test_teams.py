"""Teams and their channels: who is in them, who may do what, and that leaving a team leaves its channels."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from accounts import privacy, users
from chat.conversations import members, queries
from chat.ids import TeamId
from chat.messages import history
from chat.models import Conversation, TeamMember
from chat.refusals import GroupTooLarge, NotAMember
from chat.teams import channels, teams
from gateway.errors import Forbidden, InvalidPayload, NotFound, RateLimited
from gateway.ids import ConversationId
from tests.chat import rows
from tests.factories import Someone, draft, group, say, someone, store


def team(owner: Someone, *others: Someone) -> TeamId:
    made = teams.create(owner.id, "Crew", "who sails")
    teams.add(owner.id, made, *(person.id for person in others))
    return made


def channel(owner: Someone, team_id: TeamId, *, kind: str = "channel", private: bool = False) -> ConversationId:
    made = channels.create(owner.id, team_id, kind=kind, name="deck", topic="on deck", private=private)
    return ConversationId(int(made.id))


def roles(team_id: TeamId) -> dict[int, str]:
    return dict(TeamMember.objects.filter(team_id=team_id).values_list("user_id", "role"))


def test_team_has_a_name_an_owner_and_members() -> None:
    ada, bob, eve = someone("Ada"), someone("Bob"), someone()
    made = team(ada, bob)

    seen = teams.team(bob.id, made)

    assert (seen.name, seen.description, seen.role, seen.member_count) == ("Crew", "who sails", "member", 2)
    assert teams.listed(bob.id) == [seen]
    assert teams.people(bob.id, made)[0] == [(ada.id, "Ada", "owner"), (bob.id, "Bob", "member")]
    for look in (teams.team, teams.people, channels.listed):
        with pytest.raises(NotFound):
            look(eve.id, made)
    with pytest.raises(InvalidPayload):
        teams.create(ada.id, " ")


def test_team_admins_manage_members_and_the_owner_appoints_admins() -> None:
    ada, bob, cem, dan = someone(), someone(), someone(), someone()
    made = team(ada, bob, cem)

    forbidden: list[Callable[[], None]] = [
        lambda: teams.add(bob.id, made, dan.id),
        lambda: teams.remove(bob.id, made, cem.id),
        lambda: teams.change(bob.id, made, {"name": "Mine"}),
        lambda: teams.set_role(bob.id, made, bob.id, "admin"),
        lambda: teams.dissolve(bob.id, made),
    ]
    for act in forbidden:
        with pytest.raises(Forbidden):
            act()
    teams.set_role(ada.id, made, bob.id, "admin")
    teams.add(bob.id, made, dan.id)
    teams.change(bob.id, made, {"name": "Ours", "description": ""})
    teams.set_role(bob.id, made, cem.id, "admin")
    for whom, role in ((cem, "member"), (dan, "owner"), (ada, "admin")):
        with pytest.raises(Forbidden):
            teams.set_role(bob.id, made, whom.id, role)
    with pytest.raises(Forbidden):
        teams.remove(bob.id, made, ada.id)
    teams.set_role(ada.id, made, cem.id, "owner")

    assert roles(made) == {ada.id: "admin", bob.id: "admin", cem.id: "owner", dan.id: "member"}
    assert teams.team(dan.id, made).name == "Ours"


def test_leaving_owner_hands_over_to_an_heir() -> None:
    ada, bob, cem = someone(), someone(), someone()
    made = team(ada, bob, cem)
    teams.set_role(ada.id, made, cem.id, "admin")

    teams.remove(ada.id, made, ada.id)
    assert roles(made) == {bob.id: "member", cem.id: "owner"}
    teams.remove(cem.id, made, cem.id)
    assert roles(made) == {bob.id: "owner"}


def test_disabled_user_is_the_last_choice_as_heir() -> None:
    ada, bob, cem = someone(), someone(), someone()
    made, chat = team(ada, bob, cem), group(ada, bob, cem)
    teams.set_role(ada.id, made, bob.id, "admin")
    members.set_role(ada.id, chat, bob.id, "admin")
    last = group(ada, bob)
    users.disable(bob.id)

    teams.remove(ada.id, made, ada.id)
    members.remove(ada.id, chat, ada.id)
    members.remove(ada.id, last, ada.id)

    assert roles(made) == {bob.id: "admin", cem.id: "owner"}
    assert [rows.member(person, chat).role for person in (bob, cem)] == ["admin", "owner"]
    assert rows.member(bob, last).role == "owner", "their account may be enabled again"


def test_contacts_only_user_cannot_be_added_to_a_team_by_strangers() -> None:
    ada, bob = someone(), someone()
    privacy.change(bob.id, settings={"who_can_message": "contacts"})

    with pytest.raises(Forbidden):
        team(ada, bob)


def test_members_create_channels_and_admins_create_broadcasts() -> None:
    ada, bob, eve = someone(), someone(), someone()
    made = team(ada, bob)

    own = queries.conversation(bob.viewer, channel(bob, made))
    assert (own.kind, own.team_id, own.topic, own.private, own.member_count) == (
        "channel",
        str(made),
        "on deck",
        False,
        1,
    )
    assert own.members[0].role == "owner"
    with pytest.raises(Forbidden):
        channel(bob, made, kind="broadcast")
    with pytest.raises(NotFound):
        channel(eve, made)
    with pytest.raises(NotFound):
        channels.create(ada.id, made, kind="channel", name="x", member_ids=[eve.id])


def test_broadcast_members_read_and_only_admins_write() -> None:
    """F4."""
    ada, bob = someone(), someone()
    made = team(ada, bob)
    news = channel(ada, made, kind="broadcast")
    channels.join(bob.id, news)

    assert store([draft(bob, news)])[0].outcome == "READ_ONLY"
    assert store([draft(ada, news)])[0].outcome == "stored"
    members.set_role(ada.id, news, bob.id, "admin")
    assert store([draft(bob, news)])[0].outcome == "stored"


def test_public_channel_is_listed_to_the_team_and_open_to_join() -> None:
    ada, bob, eve = someone(), someone("Bob"), someone()
    made = team(ada, bob)
    open_, shut = channel(ada, made), channel(ada, made, private=True)
    say(ada, open_, "before")

    assert [(c.id, c.joined) for c in channels.listed(bob.id, made)[0]] == [(open_, False)]
    assert [(c.id, c.joined) for c in channels.listed(ada.id, made)[0]] == [(open_, True), (shut, True)]
    channels.join(bob.id, open_)
    channels.join(bob.id, open_)
    for person, where in ((bob, shut), (eve, open_), (eve, shut), (bob, 1), (bob, group(bob))):
        with pytest.raises(NotAMember):
            channels.join(person.id, ConversationId(where))

    assert [(c.id, c.joined, c.member_count) for c in channels.listed(bob.id, made)[0]] == [(open_, True, 2)]
    assert rows.announced(open_)[-1] == ({"event": "joined", "userIds": [str(bob.id)]}, "Bob joined")
    assert [m.content for m in history.page(bob.viewer, open_, limit=9)[0].messages][1:] == ["before", "Bob joined"]


def test_private_channel_admits_only_invited_team_members() -> None:
    ada, bob, eve = someone(), someone(), someone()
    made = team(ada, bob)
    shut = channel(ada, made, private=True)

    members.add(ada.id, shut, bob.id)
    with pytest.raises(NotFound):
        members.add(ada.id, shut, eve.id)

    assert [c.id for c in channels.listed(bob.id, made)[0]] == [shut]


def test_leaving_a_team_leaves_only_its_channels() -> None:
    ada, bob = someone("Ada"), someone("Bob")
    made, elsewhere = team(ada, bob), group(ada, bob)
    first, second = channel(ada, made), channel(bob, made)
    channels.join(bob.id, first)
    channels.join(ada.id, second)

    teams.remove(bob.id, made, bob.id)

    assert [rows.member(bob, chat).left_seq is None for chat in (first, second, elsewhere)] == [False, False, True]
    assert rows.member(ada, second).role == "owner"
    assert rows.announced(second)[-1][1] == "Bob left; Ada is the owner now"
    with pytest.raises(NotAMember):
        channels.join(bob.id, first)


def test_removal_from_a_team_ends_all_its_channel_memberships() -> None:
    ada, bob = someone(), someone()
    made = team(ada, bob)
    own = channel(bob, made, private=True)
    before = len(rows.announced(own))

    teams.remove(ada.id, made, bob.id)

    assert rows.member(bob, own).left_seq is not None
    assert len(rows.announced(own)) == before, "who is not in a channel says nothing there"


def test_first_member_of_an_abandoned_channel_owns_it() -> None:
    ada, bob, cem = someone(), someone(), someone()
    made = team(ada, bob, cem)
    news = channel(ada, made, kind="broadcast")
    members.remove(ada.id, news, ada.id)

    channels.join(bob.id, news)
    channels.join(cem.id, news)

    assert [rows.member(person, news).role for person in (bob, cem)] == ["owner", "member"]
    assert store([draft(bob, news)])[0].outcome == "stored"


def test_dissolving_a_team_ends_its_channels() -> None:
    ada, bob = someone(), someone()
    made = team(ada, bob)
    chat = channel(ada, made)
    channels.join(bob.id, chat)

    teams.dissolve(ada.id, made)

    assert teams.listed(bob.id) == []
    assert Conversation.objects.get(id=chat).closed_at is not None
    assert queries.conversation_list(bob.viewer).conversations == []


def test_channel_joins_are_limited_per_day(settings: Settings) -> None:
    """F294."""
    ada, bob = someone(), someone()
    made = team(ada, bob)
    chats = [channel(ada, made) for _ in range(3)]
    settings.LIMITS = replace(settings.LIMITS, joins_per_day=2)

    for chat in chats[:2]:
        channels.join(bob.id, chat)
    channels.join(bob.id, chats[0])
    with pytest.raises(RateLimited):
        channels.join(bob.id, chats[2])

    assert Conversation.objects.get(id=chats[2]).member_count == 1


def test_channel_has_a_member_limit(settings: Settings) -> None:
    ada, bob, cem = someone(), someone(), someone()
    made = team(ada, bob, cem)
    chat = channel(ada, made)
    settings.LIMITS = replace(settings.LIMITS, max_channel_members=2, max_group_members=2)

    channels.join(bob.id, chat)
    with pytest.raises(GroupTooLarge):
        channels.join(cem.id, chat)
    with pytest.raises(GroupTooLarge):
        channels.create(ada.id, made, kind="channel", name="x", member_ids=[bob.id, cem.id])
    with pytest.raises(InvalidPayload):
        teams.add(ada.id, made, someone().id)
