"""New members of a conversation: whether they may be added, their rows, and the frames that they get."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from django.conf import settings
from django.db import connection, transaction

from accounts.models import User
from chat import events
from chat.conversations import queries
from chat.models import Conversation, Member
from chat.refusals import GroupTooLarge
from gateway.errors import Forbidden, NotFound
from gateway.frames import ALL_DEVICES, Viewer
from gateway.ids import ConversationId, UserId

BATCH = 1000
# Indexes: the key of accounts_user, block_unique, the key of accounts_privacy, contact_unique.
ASKED = """
SELECT u.is_active AND u.confirmed_at IS NOT NULL AND NOT EXISTS (
           SELECT FROM accounts_block b WHERE b.blocker_id = u.id AND b.blocked_id = %(inviter)s),
       EXISTS (SELECT FROM accounts_privacy p WHERE p.user_id = u.id AND p.who_can_message = 'contacts')
       AND NOT EXISTS (SELECT FROM accounts_contact c WHERE c.user_id = u.id AND c.contact_id = %(inviter)s)
FROM accounts_user u
WHERE u.id = ANY (%(people)s) AND u.id <> %(inviter)s
"""


def check_may_add(inviter_id: int, people: Iterable[int]) -> None:
    """Raise NotFound where one of these people is not there for the inviter, Forbidden where one lets only contacts
    reach them and the inviter is none (F246).

    Who has blocked the inviter is not there (F230), so a block ends invitations too.
    """
    others = {person for person in people if person != inviter_id}
    with connection.cursor() as cursor:
        cursor.execute(ASKED, {"inviter": inviter_id, "people": list(others)})
        rows = cursor.fetchall()
    if len(rows) != len(others) or not all(there for there, _ in rows):
        raise NotFound("there is no such person")
    check_reachable(rows)


def check_may_open(user_id: UserId, other_id: int) -> None:
    """Raise Forbidden if the other user accepts conversations from contacts only; a block is not revealed (F205)."""
    with connection.cursor() as cursor:
        cursor.execute(ASKED, {"inviter": user_id, "people": [other_id]})
        check_reachable(cursor.fetchall())


def check_reachable(rows: Sequence[Sequence[bool]]) -> None:
    """Raise Forbidden if a row of ASKED allows contacts only."""
    if any(closed for _, closed in rows):
        raise Forbidden("this person is reached by contacts only")


def member_limit(kind: str) -> int:
    """Return how many members a conversation of a kind may have."""
    active = settings.LIMITS
    return active.max_group_members if kind == Conversation.Kind.GROUP else active.max_channel_members


def insert_members(conversation: Conversation, people: Sequence[int], roles: Mapping[int, str] = {}) -> None:
    """Write the member rows of newcomers to a locked (or new) conversation and take their numbers from it; what was said
    before counts as read.

    Raises GroupTooLarge. The caller saves the conversation's `next_n` and tells with `changes.advance`.
    """
    present = conversation.member_count if conversation.rev else 0
    if present + len(people) > member_limit(conversation.kind):
        raise GroupTooLarge(field="memberIds")
    seq = conversation.last_seq
    Member.objects.bulk_create(
        (
            Member(
                conversation=conversation,
                user_id=person,
                n=n,
                role=roles.get(person, Member.Role.MEMBER),
                joined_seq=seq,
                read_seq=seq,
                delivered_seq=seq,
            )
            for n, person in enumerate(people, start=conversation.next_n)
        ),
        batch_size=BATCH,
    )
    conversation.next_n += len(people)


def announce(conversation: Conversation, people: Sequence[int]) -> None:
    """Send newcomers `chat.created` when the transaction commits: the conversation as each sees it, in large ones its id
    alone, so that this costs no query for each of them.
    """
    transaction.on_commit(
        partial(_publish_created, ConversationId(conversation.id), list(people), conversation.member_count)
    )


def _publish_created(conversation_id: ConversationId, people: list[int], member_count: int) -> None:
    if member_count >= settings.LIMITS.fanout_threshold:
        events.publish_created(conversation_id, people)
        return
    for person in people:
        events.publish_chat(
            "chat.created", UserId(person), queries.conversation(Viewer(UserId(person), ALL_DEVICES), conversation_id)
        )


def names(people: Sequence[int]) -> str:
    """Return some people's names as a system message lists them: the first few, and how many more."""
    first = list(User.objects.filter(id__in=people[:3]).order_by("id").values_list("display_name", flat=True))
    more = len(people) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")
