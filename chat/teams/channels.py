"""Channels and broadcasts of teams: made, listed to the team, joined. In a broadcast only admins write (F4)."""

from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction

from chat.conversations import invitations, queries
from chat.conversations.conversations import DAY, charge_creation, clean_name, clean_topic, create_rows
from chat.conversations.members import add_members
from chat.frames import ConversationObject
from chat.ids import TeamId
from chat.messages import changes
from chat.models import Conversation, Member, TeamMember
from chat.refusals import GroupTooLarge, NotAMember
from chat.teams.teams import ADMINS, role_in
from gateway import limits
from gateway.errors import Forbidden, NotFound
from gateway.frames import ALL_DEVICES, Viewer
from gateway.ids import ConversationId, UserId

KINDS = (Conversation.Kind.CHANNEL, Conversation.Kind.BROADCAST)
PAGE_SIZE = 100
# A private one is known to its members alone. Indexes: the key of team in conversation, member_once.
CHANNELS = """
SELECT c.id, c.kind, c.name, c.topic, c.private, c.member_count, me.id IS NOT NULL
FROM chat_conversation c
LEFT JOIN chat_member me ON me.conversation_id = c.id AND me.user_id = %(viewer)s AND me.left_seq IS NULL
WHERE c.team_id = %(team)s AND c.closed_at IS NULL AND (NOT c.private OR me.id IS NOT NULL) AND c.id > %(after)s
ORDER BY c.id LIMIT %(limit)s
"""


class Channel(NamedTuple):
    """A channel or broadcast as its team sees it."""

    id: int
    kind: str
    name: str
    topic: str
    private: bool
    member_count: int
    joined: bool


def listed(viewer: UserId, team_id: TeamId, *, after: int = 0) -> tuple[list[Channel], int | None]:
    """Return a page of a team's channels that the viewer may know of, and where the next one begins. Raises NotFound."""
    role_in(viewer, team_id)
    with connection.cursor() as cursor:
        cursor.execute(CHANNELS, {"viewer": viewer, "team": team_id, "after": after, "limit": PAGE_SIZE + 1})
        rows = [Channel(*row) for row in cursor.fetchall()]
    kept = rows[:PAGE_SIZE]
    return kept, kept[-1].id if len(rows) > len(kept) else None


def create(
    user_id: UserId,
    team_id: TeamId,
    *,
    kind: str,
    name: str,
    topic: str = "",
    private: bool = False,
    member_ids: Sequence[int] = (),
) -> ConversationObject:
    """Return a new channel, by any member of the team, or a new broadcast, by an admin of it; its maker owns it.

    Raises NotFound (no such team, or somebody who is not in it), Forbidden, InvalidPayload, GroupTooLarge, RateLimited
    (F293).
    """
    people = list(dict.fromkeys([user_id, *member_ids]))
    made = Conversation(kind=kind, name=clean_name(name), topic=clean_topic(topic), private=private, team_id=team_id)
    role = role_in(user_id, team_id)
    if kind == Conversation.Kind.BROADCAST and role not in ADMINS:
        raise Forbidden("only admins of the team make broadcasts")
    if len(people) > invitations.member_limit(kind):
        raise GroupTooLarge(field="memberIds")
    charge_creation(user_id)
    with transaction.atomic():
        if len(_team_rows(team_id, people)) != len(people):
            raise NotFound("one of these people is not in the team")
        invitations.check_may_add(user_id, people)
        create_rows(user_id, made, people)
    return queries.conversation(Viewer(user_id, ALL_DEVICES), ConversationId(made.id))


def join(user_id: UserId, conversation_id: ConversationId) -> None:
    """Join a public channel or broadcast of one's team; a present member stays as they are.

    Raises NotAMember for what there is not, what is private and what is another team's; RateLimited (F294),
    GroupTooLarge.
    """
    channel = Conversation.objects.filter(id=conversation_id, closed_at=None, kind__in=KINDS).first()
    if channel is None or channel.team_id is None:
        raise NotAMember
    if _is_in(user_id, channel):
        return
    if channel.private or not TeamMember.objects.filter(team_id=channel.team_id, user_id=user_id).exists():
        raise NotAMember
    per_day = settings.LIMITS.joins_per_day
    limits.enforce(f"{user_id}:joins", per_day / DAY, per_day)
    with transaction.atomic():
        # All of it again under the locks: it may have changed while they were waited for.
        team_row = _team_rows(TeamId(channel.team_id), [user_id])
        held = changes.lock_conversation(conversation_id)
        if not team_row or held.closed_at is not None or held.private:
            raise NotAMember
        if not _is_in(user_id, held):
            add_members(held, [user_id], by=user_id)


def _is_in(user_id: UserId, channel: Conversation) -> bool:
    return Member.objects.filter(conversation=channel, user_id=user_id, left_seq=None).exists()


def _team_rows(team_id: TeamId, people: Sequence[int]) -> list[int]:
    """Lock people's rows in a team until the transaction's end: none of them leaves it meanwhile."""
    rows = TeamMember.objects.select_for_update(no_key=True).filter(team_id=team_id, user_id__in=people)
    return list(rows.order_by("user_id").values_list("id", flat=True))
