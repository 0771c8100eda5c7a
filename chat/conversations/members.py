"""Members come and go, and their roles change. Each change takes the conversation's row lock, a rev and a membership version.

The lock order decides who gets what: a message with a seq up to `left_seq` was sent to the one who left, a later one
was not (K44).
"""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from chat import events
from chat.access import ADMINS
from chat.conversations import invitations
from chat.conversations.conversations import admin_membership
from chat.messages import changes
from chat.messages.changes import MemberChange
from chat.models import Conversation, Member, TeamMember
from chat.refusals import NotAMember
from gateway.errors import Forbidden, InvalidPayload, NotFound
from gateway.ids import ConversationId, UserId

OWNER, ADMIN, MEMBER = Member.Role.OWNER, Member.Role.ADMIN, Member.Role.MEMBER


def add(user_id: UserId, conversation_id: ConversationId, *newcomer_ids: int) -> None:
    """Add users, as an admin; present members stay as they are.

    Into a channel come members of its team alone. Raises NotAMember, Forbidden, NotFound, GroupTooLarge.
    """
    with transaction.atomic():
        _lock_team_rows(conversation_id, newcomer_ids)
        held = changes.lock_conversation(conversation_id)
        admin_membership(user_id, held)
        present = set(_present_members(held).filter(user_id__in=newcomer_ids).values_list("user_id", flat=True))
        coming = [person for person in dict.fromkeys(newcomer_ids) if person not in present]
        invitations.check_may_add(user_id, coming)
        _check_team(held, coming)
        if coming:
            add_members(held, coming, by=user_id)


def add_members(held: Conversation, coming: list[int], *, by: int) -> None:
    """Insert new members into a locked conversation and publish that. Raises GroupTooLarge.

    Who comes into a channel that all have left owns it: else nobody could manage it, or write into a broadcast, again.
    """
    invitations.insert_members(held, coming, {} if held.member_count else {coming[0]: OWNER})
    changes.advance(held, MemberChange("joined", coming, UserId(by)))
    invitations.announce(held, coming)
    if changes.announces_members(held):
        who, whom = invitations.names([by]), invitations.names(coming)
        text = f"{who} joined" if coming == [by] else f"{who} added {whom}"
        changes.post_system_message(
            held, UserId(by), "joined" if coming == [by] else "added", text, userIds=[str(person) for person in coming]
        )


def remove(user_id: UserId, conversation_id: ConversationId, leaver_id: UserId) -> None:
    """Remove a member, by an admin, or leave oneself. Raises NotAMember, Forbidden, NotFound.

    The owner is removed by nobody. Who goes as the owner has an heir: the earliest admin, else the earliest member,
    before all whose account is disabled.
    """
    with transaction.atomic():
        held = changes.lock_conversation(conversation_id)
        if user_id == leaver_id:
            leaver = _own_membership(held, user_id)
        else:
            admin_membership(user_id, held)
            leaver = _present_member(held, leaver_id)
        if leaver.role == OWNER and user_id != leaver_id:
            raise Forbidden("the owner cannot be removed")
        end_membership(held, leaver, by=user_id)


def end_membership(held: Conversation, leaver: Member, *, by: int) -> None:
    """End a membership in a locked conversation and publish that: a system message is the last that the leaver gets.

    `by` is said to have done it; who acts from outside, as a team's admin does, is not in the conversation and says
    nothing there.
    """
    heir = _heir(held, leaver)
    if changes.announces_members(held) and (by == leaver.user_id or _present_members(held).filter(user_id=by).exists()):
        who, whom = invitations.names([by]), invitations.names([leaver.user_id])
        text = f"{who} left" if by == leaver.user_id else f"{who} removed {whom}"
        if heir is not None:
            text += f"; {invitations.names([heir.user_id])} is the owner now"
        changes.post_system_message(
            held, UserId(by), "left" if by == leaver.user_id else "removed", text, userIds=[str(leaver.user_id)]
        )
    leaver.left_seq, leaver.left_at = held.last_seq, timezone.now()
    leaver.save(update_fields=["left_seq", "left_at"])
    if heir is not None:
        _write_role(heir, OWNER)
    gone = MemberChange("left" if by == leaver.user_id else "removed", [leaver.user_id], UserId(by))
    changes.advance(held, gone)
    if heir is not None:
        changes.record_members(held, MemberChange("role", [heir.user_id], UserId(by)), rev=held.rev)
    transaction.on_commit(lambda: events.publish_removed(ConversationId(held.id), [leaver.user_id]))


def set_role(user_id: UserId, conversation_id: ConversationId, member_id: UserId, role: str) -> None:
    """Promote, demote, or hand a conversation over; the role that somebody has already makes no rev.

    Admins promote; the owner demotes, and an admin themself; the owner hands over and is an admin from then on.
    Raises NotAMember, Forbidden, NotFound, InvalidPayload.
    """
    if role not in Member.Role.values:
        raise InvalidPayload(f"one of {', '.join(Member.Role.values)}", field="role")
    with transaction.atomic():
        held = changes.lock_conversation(conversation_id)
        own = admin_membership(user_id, held).role
        member = _present_member(held, member_id)
        if member.role == role:
            return
        if member.role == OWNER:
            raise Forbidden("a conversation has an owner: hand it over to somebody")
        if own != OWNER and (role == OWNER or (role == MEMBER and member_id != user_id)):
            raise Forbidden("only the owner does this")
        changed = [member_id]
        if role == OWNER:
            owners = _present_members(held).filter(role=OWNER)
            changed += [UserId(owner) for owner in owners.values_list("user_id", flat=True)]
            owners.update(role=ADMIN)
        _write_role(member, role)
        changes.advance(held, MemberChange("role", changed, user_id))
        _announce_role(held, user_id, member_id, role)


def _announce_role(held: Conversation, user_id: UserId, member_id: UserId, role: str) -> None:
    who, whom = invitations.names([user_id]), invitations.names([member_id])
    if role == OWNER:
        text = f"{who} made {whom} the owner"
    elif role == ADMIN:
        text = f"{who} made {whom} an admin"
    else:
        text = f"{whom} is no admin any more"
    changes.post_system_message(held, user_id, "role", text, userIds=[str(member_id)], role=role)


def _own_membership(held: Conversation, user_id: UserId) -> Member:
    member = _member(held, user_id)
    if member is None:
        raise NotAMember
    if held.kind == Conversation.Kind.DIRECT:
        raise Forbidden("a direct chat has its two members for good")
    return member


def _lock_team_rows(conversation_id: ConversationId, people: tuple[int, ...]) -> None:
    """Lock the users' rows in a channel's team before the channel, so that a user who is leaving the team cannot join."""
    rows = TeamMember.objects.filter(team__conversations=conversation_id, user_id__in=people).order_by("user_id")
    list(rows.select_for_update(of=("self",), no_key=True).values_list("id", flat=True))


def _check_team(held: Conversation, coming: list[int]) -> None:
    if held.team_id is None:
        return
    in_team = TeamMember.objects.filter(team_id=held.team_id, user_id__in=coming).count()
    if in_team != len(coming):
        raise NotFound("one of these people is not in the team")


def _present_members(held: Conversation) -> QuerySet[Member]:
    return Member.objects.filter(conversation=held, left_seq=None)


def _member(held: Conversation, user_id: UserId) -> Member | None:
    return _present_members(held).filter(user_id=user_id).first()


def _present_member(held: Conversation, user_id: UserId) -> Member:
    member = _member(held, user_id)
    if member is None:
        raise NotFound("this person is no member")
    return member


def _write_role(member: Member, role: str) -> None:
    member.role = role
    member.save(update_fields=["role"])


def _heir(held: Conversation, leaver: Member) -> Member | None:
    if leaver.role != OWNER:
        return None
    others = _present_members(held).exclude(id=leaver.id).order_by("n")
    able = others.filter(user__is_active=True)
    return able.filter(role__in=ADMINS).first() or able.first() or others.first()
