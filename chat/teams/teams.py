"""Teams: people who share channels, with an owner and admins. Leaving a team leaves its channels.

Locks are taken in this order: the team, its members' rows, its conversations by id. Who joins a channel holds the own
row in the team, so a leaving and a joining at once end with nobody in a channel of a team that they have left.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from chat.conversations import invitations
from chat.conversations.conversations import charge_creation, clean_name, clean_topic, end
from chat.conversations.members import end_membership
from chat.ids import TeamId
from chat.messages import changes
from chat.models import Conversation, Member, Team, TeamMember
from gateway.errors import Forbidden, InvalidPayload, NotFound
from gateway.ids import ConversationId, UserId

OWNER, ADMIN, MEMBER = TeamMember.Role.OWNER, TeamMember.Role.ADMIN, TeamMember.Role.MEMBER
ADMINS = (OWNER, ADMIN)
PAGE_SIZE = 100
CLEAN: Mapping[str, Callable[[str], str]] = {
    "name": clean_name,
    "description": partial(clean_topic, field="description"),
}

# Index: team_of_user.
MINE = """
SELECT t.id, t.name, t.description, me.role, (SELECT count(*) FROM chat_teammember o WHERE o.team_id = t.id), t.created_at
FROM chat_teammember me JOIN chat_team t ON t.id = me.team_id
WHERE me.user_id = %(viewer)s AND (%(team)s::bigint IS NULL OR t.id = %(team)s)
ORDER BY t.id
"""
# Index: team_member_once.
PEOPLE = """
SELECT m.user_id, u.display_name, m.role
FROM chat_teammember m JOIN accounts_user u ON u.id = m.user_id
WHERE m.team_id = %(team)s AND m.user_id > %(after)s
ORDER BY m.user_id LIMIT %(limit)s
"""


class TeamSeen(NamedTuple):
    """A team as its member sees it."""

    id: int
    name: str
    description: str
    role: str
    member_count: int
    created_at: Any


class TeamPerson(NamedTuple):
    """Somebody in a team."""

    user_id: UserId
    display_name: str
    role: str


def role_in(user_id: UserId, team_id: TeamId) -> str:
    """Return a user's role in a team. Raises NotFound, for no team as well as for one of others."""
    role = TeamMember.objects.filter(team_id=team_id, user_id=user_id).values_list("role", flat=True).first()
    if role is None:
        raise NotFound("there is no such team")
    return role


def listed(viewer: UserId) -> list[TeamSeen]:
    """Return the viewer's teams."""
    with connection.cursor() as cursor:
        cursor.execute(MINE, {"viewer": viewer, "team": None})
        return [TeamSeen(*row) for row in cursor.fetchall()]


def team(viewer: UserId, team_id: TeamId) -> TeamSeen:
    """Return one of the viewer's teams. Raises NotFound."""
    with connection.cursor() as cursor:
        cursor.execute(MINE, {"viewer": viewer, "team": team_id})
        row = cursor.fetchone()
    if row is None:
        raise NotFound("there is no such team")
    return TeamSeen(*row)


def people(viewer: UserId, team_id: TeamId, *, after: int = 0) -> tuple[list[TeamPerson], int | None]:
    """Return a page of a team's members by id, and where the next one begins. Raises NotFound."""
    role_in(viewer, team_id)
    with connection.cursor() as cursor:
        cursor.execute(PEOPLE, {"team": team_id, "after": after, "limit": PAGE_SIZE + 1})
        rows = [TeamPerson(*row) for row in cursor.fetchall()]
    kept = rows[:PAGE_SIZE]
    return kept, kept[-1].user_id if len(rows) > len(kept) else None


def create(user_id: UserId, name: str, description: str = "") -> TeamId:
    """Return the id of a new team with its creator as owner. Raises InvalidPayload, RateLimited (F293)."""
    made = Team(name=clean_name(name), description=CLEAN["description"](description), created_by_id=user_id)
    charge_creation(user_id)
    with transaction.atomic():
        made.save(force_insert=True)
        TeamMember.objects.create(team=made, user_id=user_id, role=OWNER)
    return TeamId(made.id)


def change(user_id: UserId, team_id: TeamId, wanted: Mapping[str, str]) -> None:
    """Change a team's `name` or `description`, as an admin of it. Raises NotFound, Forbidden, InvalidPayload."""
    values = {name: CLEAN[name](value) for name, value in wanted.items()}
    with transaction.atomic():
        held = _managed(user_id, team_id)
        if values:
            Team.objects.filter(id=held.id).update(**values)


def dissolve(user_id: UserId, team_id: TeamId) -> None:
    """End a team and its channels, as its owner. Their messages stay stored. Raises NotFound, Forbidden."""
    with transaction.atomic():
        held = _managed(user_id, team_id)
        if role_in(user_id, team_id) != OWNER:
            raise Forbidden("only the owner dissolves a team")
        TeamMember.objects.filter(team=held).delete()
        for channel in _channels(held).select_for_update(no_key=True).order_by("id"):
            end(channel, by=user_id)


def add(user_id: UserId, team_id: TeamId, *newcomer_ids: int) -> None:
    """Add users to a team, as its admin; present members stay as they are.

    Raises NotFound, Forbidden (F246), InvalidPayload above the number of members that a team may have.
    """
    with transaction.atomic():
        held = _managed(user_id, team_id)
        inside = TeamMember.objects.filter(team=held)
        present = set(inside.filter(user_id__in=newcomer_ids).values_list("user_id", flat=True))
        coming = [person for person in dict.fromkeys(newcomer_ids) if person not in present]
        invitations.check_may_add(user_id, coming)
        if inside.count() + len(coming) > settings.LIMITS.max_channel_members:
            raise InvalidPayload("the team would be too large", field="userIds")
        TeamMember.objects.bulk_create((TeamMember(team=held, user_id=person) for person in coming), batch_size=1000)


def remove(user_id: UserId, team_id: TeamId, leaver_id: UserId) -> None:
    """Take somebody out of a team and all of its channels, by an admin, or leave oneself. Raises NotFound, Forbidden.

    The owner is removed by nobody; who goes as the owner has the earliest admin as heir, else the earliest member,
    before all whose account is disabled.
    """
    with transaction.atomic():
        held = _held(team_id)
        own = role_in(user_id, team_id)
        leaver = TeamMember.objects.select_for_update().filter(team=held, user_id=leaver_id).first()
        if user_id != leaver_id and own not in ADMINS:
            raise Forbidden("only admins of the team may do this")
        if leaver is None:
            raise NotFound("this person is not in the team")
        if leaver.role == OWNER and user_id != leaver_id:
            raise Forbidden("the owner cannot be removed")
        _depart(held, leaver, by=user_id)


def _depart(held: Team, leaver: TeamMember, *, by: int) -> None:
    leaver.delete()
    if leaver.role == OWNER:
        others = TeamMember.objects.filter(team=held).order_by("joined_at", "id")
        able = others.filter(user__is_active=True)
        heir = able.filter(role=ADMIN).first() or able.first() or others.first()
        if heir is not None:
            TeamMember.objects.filter(id=heir.id).update(role=OWNER)
    inside = _channels(held).filter(members__user_id=leaver.user_id, members__left_seq=None).order_by("id")
    for conversation_id in list(inside.values_list("id", flat=True)):
        channel = changes.lock_conversation(ConversationId(conversation_id))
        member = Member.objects.filter(conversation=channel, user_id=leaver.user_id, left_seq=None).first()
        if member is not None:
            end_membership(channel, member, by=by)


def set_role(user_id: UserId, team_id: TeamId, member_id: UserId, role: str) -> None:
    """Promote, demote or hand a team over, by the rules of a conversation's roles.

    Raises NotFound, Forbidden, InvalidPayload.
    """
    if role not in TeamMember.Role.values:
        raise InvalidPayload(f"one of {', '.join(TeamMember.Role.values)}", field="role")
    with transaction.atomic():
        held = _managed(user_id, team_id)
        own = role_in(user_id, team_id)
        member = TeamMember.objects.select_for_update().filter(team=held, user_id=member_id).first()
        if member is None:
            raise NotFound("this person is not in the team")
        if member.role == role:
            return
        if member.role == OWNER:
            raise Forbidden("a team has an owner: hand it over to somebody")
        if own != OWNER and (role == OWNER or (role == MEMBER and member_id != user_id)):
            raise Forbidden("only the owner does this")
        if role == OWNER:
            TeamMember.objects.filter(team=held, role=OWNER).update(role=ADMIN)
        TeamMember.objects.filter(id=member.id).update(role=role)


def _held(team_id: TeamId) -> Team:
    team = Team.objects.select_for_update(no_key=True).filter(id=team_id).first()
    if team is None:
        raise NotFound("there is no such team")
    return team


def _managed(user_id: UserId, team_id: TeamId) -> Team:
    """Lock a team for an admin of it. Raises NotFound, Forbidden."""
    held = _held(team_id)
    if role_in(user_id, team_id) not in ADMINS:
        raise Forbidden("only admins of the team may do this")
    return held


def _channels(held: Team) -> QuerySet[Conversation]:
    return Conversation.objects.filter(team=held, closed_at=None)
