"""Conversations come into being, change and end: the one direct chat of two people, groups, channels and broadcasts.

Their members come and go in `chat.members`; who may be asked into one stands in `chat.newcomers`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts import blocks, users
from accounts.models import User
from chat import events
from chat.access import Membership, member_of
from chat.conversations import invitations, queries
from chat.frames import ConversationObject
from chat.messages import changes
from chat.messages.changes import MemberChange
from chat.models import Conversation, Member
from chat.refusals import GroupTooLarge
from gateway import limits
from gateway.errors import Forbidden, InvalidPayload, NotFound
from gateway.frames import ALL_DEVICES, Viewer
from gateway.ids import ConversationId, UserId
from outbox.events import MembersChanged
from outbox.outbox import record

DAY, HOUR = 86400, 3600
TOPIC_CHARS = 500
# Each pair of users has one direct chat: the unique key decides between two concurrent requests.
FIND_OR_MAKE = """
INSERT INTO chat_conversation (kind, direct_key, created_by_id, name, topic, avatar_url, shares_history, last_seq, rev,
                               members_version, member_count, next_n, metadata)
VALUES ('direct', %(key)s, %(creator)s, '', '', '', true, 0, 1, 1, 2, 3, '{}')
ON CONFLICT (direct_key) DO NOTHING
RETURNING id
"""


def open_direct(user_id: UserId, other_id: int) -> tuple[ConversationObject, bool]:
    """Return the direct chat of two people, and whether it is new.

    Raises NotFound for nobody, InvalidPayload for oneself, Forbidden for a new one with somebody whom contacts
    alone reach (F246), RateLimited above `recipients_per_hour` new ones (F241). A block is not told: the chat opens, and what is sent into it reaches nobody (F205, F230); nor
    is the blocker told that somebody whom they block has opened it (F204).
    """
    if user_id == other_id:
        raise InvalidPayload("a direct chat is with somebody else", field="userId")
    if not User.objects.filter(id=other_id, is_active=True, confirmed_at__isnull=False).exists():
        raise NotFound("there is no such person")
    key = f"{min(user_id, other_id)}:{max(user_id, other_id)}"
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(FIND_OR_MAKE, {"key": key, "creator": user_id})
            made = cursor.fetchone()
        if made:
            invitations.check_may_open(user_id, other_id)
            charge_opening(user_id)
            Member.objects.bulk_create(
                Member(conversation_id=made[0], user_id=person, n=n)
                for n, person in enumerate((user_id, other_id), start=1)
            )
            record(
                MembersChanged(conversation_id=made[0], user_ids=[user_id, other_id], change="joined", actor_id=user_id)
            )
    chat = made[0] if made else Conversation.objects.values_list("id", flat=True).get(direct_key=key)
    mine = queries.conversation(Viewer(user_id, ALL_DEVICES), ConversationId(chat))
    if made:
        events.publish_chat("chat.created", user_id, mine)
        if not blocks.blockers_among(user_id, [UserId(other_id)]):
            events.publish_chat(
                "chat.created",
                UserId(other_id),
                queries.conversation(Viewer(UserId(other_id), ALL_DEVICES), ConversationId(chat)),
            )
    return mine, bool(made)


def create_group(user_id: UserId, name: str, member_ids: Sequence[int]) -> ConversationObject:
    """Return a new group with its creator as owner.

    Raises InvalidPayload (no name), NotFound (an unknown person), Forbidden (one reached by contacts only, F246),
    GroupTooLarge, RateLimited (F293).
    """
    people = list(dict.fromkeys([user_id, *member_ids]))
    group = Conversation(kind=Conversation.Kind.GROUP, name=clean_name(name))
    if len(people) > invitations.member_limit(group.kind):
        raise GroupTooLarge(field="memberIds")
    invitations.check_may_add(user_id, people)
    charge_creation(user_id)
    with transaction.atomic():
        create_rows(user_id, group, people)
    return queries.conversation(Viewer(user_id, ALL_DEVICES), ConversationId(group.id))


def charge_opening(user_id: UserId) -> None:
    """Charge a new direct chat (F241), because the other user is notified of it before any message.

    Raises RateLimited.
    """
    per_hour = settings.LIMITS.recipients_per_hour
    limits.enforce(f"{user_id}:openings", per_hour / HOUR, per_hour)


def charge_creation(user_id: UserId) -> None:
    """Charge a user's creations of the day: groups, channels and teams (F293). Raises RateLimited."""
    per_day = settings.LIMITS.groups_per_day
    limits.enforce(f"{user_id}:groups", per_day / DAY, per_day)


def create_rows(creator_id: UserId, conversation: Conversation, member_ids: Sequence[int]) -> None:
    """Write a new conversation and its first members, the creator as owner, and publish it to them."""
    conversation.created_by_id, conversation.members_version, conversation.member_count = creator_id, 1, len(member_ids)
    conversation.save(force_insert=True)
    invitations.insert_members(conversation, member_ids, {creator_id: Member.Role.OWNER})
    conversation.save(update_fields=["next_n"])
    changes.record_members(conversation, MemberChange("joined", member_ids, creator_id))
    invitations.announce(conversation, member_ids)
    who = invitations.names([creator_id])
    changes.post_system_message(
        conversation,
        creator_id,
        "created",
        f"{who} created the {conversation.kind} “{conversation.name}”",
        name=conversation.name,
    )


def change(user_id: UserId, conversation_id: ConversationId, wanted: Mapping[str, Any]) -> None:
    """Change a conversation's `name`, `topic`, `avatar_url` or `shares_history`, as an admin of it.

    What it has already makes no rev. Raises NotAMember, Forbidden, InvalidPayload.
    """
    values = {name: CLEAN[name](value) for name, value in wanted.items()}
    with transaction.atomic():
        held = changes.lock_conversation(conversation_id)
        admin_membership(user_id, held)
        news = {name: value for name, value in values.items() if getattr(held, name) != value}
        if not news:
            return
        changes.advance(held, **news)
        who = invitations.names([user_id])
        for name, value in news.items():
            changes.post_system_message(held, user_id, *_describe_change(who, name, value), **{WIRE[name]: value})


def admin_membership(user_id: UserId, held: Conversation) -> Membership:
    """Return an admin's membership of a locked conversation that is no direct chat. Raises NotAMember, Forbidden."""
    membership = member_of(
        user_id, ConversationId(held.id), may="manage" if held.kind != Conversation.Kind.DIRECT else "read"
    )
    if held.kind == Conversation.Kind.DIRECT:
        raise Forbidden("a direct chat belongs to its two members")
    return membership


def _describe_change(who: str, name: str, value: Any) -> tuple[str, str]:
    match name:
        case "name":
            return "renamed", f"{who} renamed this to “{value}”"
        case "topic":
            return "topic", f"{who} changed the topic to “{value}”" if value else f"{who} removed the topic"
        case "avatar_url":
            return "avatar", f"{who} changed the picture" if value else f"{who} removed the picture"
    return "history", f"{who} {'shows' if value else 'hides'} newcomers what was said before"


def dissolve(user_id: UserId, conversation_id: ConversationId) -> None:
    """End a conversation, by its owner: nobody is in it any more. Raises NotAMember, Forbidden."""
    with transaction.atomic():
        held = changes.lock_conversation(conversation_id)
        if admin_membership(user_id, held).role != Member.Role.OWNER:
            raise Forbidden("only the owner dissolves a conversation")
        end(held, by=user_id)


def end(held: Conversation, *, by: int) -> None:
    """End a locked conversation by a user's act: everybody's membership, in one statement, and with it what they set for
    themselves.
    """
    now = timezone.now()
    present = Member.objects.filter(conversation=held, left_seq=None)
    people = list(present.values_list("user_id", flat=True))
    present.update(left_seq=held.last_seq, left_at=now)
    changes.advance(held, MemberChange("removed", people, UserId(by)), closed_at=now)
    transaction.on_commit(partial(events.publish_removed, ConversationId(held.id), people))


def clean_name(name: str) -> str:
    """Return the name of a conversation or team, by the rule for people's names. Raises InvalidPayload."""
    return users.clean_name(name, field="name")


def clean_topic(topic: str, field: str = "topic") -> str:
    """Return a topic, which may be empty. Raises InvalidPayload."""
    text = topic.strip()
    if len(text) > TOPIC_CHARS or "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise InvalidPayload(f"a {field} of at most {TOPIC_CHARS} characters", field=field)
    return text


CLEAN: Mapping[str, Callable[[Any], Any]] = {
    "name": clean_name,
    "topic": clean_topic,
    "avatar_url": users.clean_avatar_url,
    "shares_history": bool,
}
WIRE = {"name": "name", "topic": "topic", "avatar_url": "avatarUrl", "shares_history": "sharesHistory"}
