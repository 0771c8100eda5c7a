"""Blocks: private to the blocker and effective immediately (F204 to F207, F230)."""

from collections.abc import Iterable
from functools import partial

from django.db import transaction
from django.db.models import Q

from accounts.models import Block, Contact, User
from accounts.privacy import PRIVACY_CHANGED
from gateway import publish
from gateway.errors import InvalidPayload, NotFound
from gateway.ids import UserId


def block(blocker_id: UserId, blocked_id: UserId) -> None:
    """Block a user and remove both users from each other's contacts (F204). A repeated call changes nothing.

    Raises InvalidPayload for the own id, NotFound for a missing user. A user that blocks the caller can be blocked too.
    """
    if blocker_id == blocked_id:
        raise InvalidPayload("you cannot block yourself", field="userId")
    with transaction.atomic():
        lock_users(blocker_id, blocked_id)
        if not User.objects.filter(pk=blocked_id).exists():
            raise NotFound
        Block.objects.get_or_create(blocker_id=blocker_id, blocked_id=blocked_id)
        each_other = Q(user_id=blocker_id, contact_id=blocked_id) | Q(user_id=blocked_id, contact_id=blocker_id)
        Contact.objects.filter(each_other).delete()
        transaction.on_commit(partial(publish.notice, PRIVACY_CHANGED, [blocker_id, blocked_id]))


def unblock(blocker_id: UserId, blocked_id: UserId) -> None:
    """End a block; contact lists do not change. Raises NotFound if there is no block."""
    deleted, _ = Block.objects.filter(blocker_id=blocker_id, blocked_id=blocked_id).delete()
    if not deleted:
        raise NotFound
    transaction.on_commit(partial(publish.notice, PRIVACY_CHANGED, [blocker_id, blocked_id]))


def blockers_among(user_id: UserId, others: Iterable[UserId]) -> set[UserId]:
    """Return those of `others` that block a user. Uses the index `block_by_blocked`."""
    blocks = Block.objects.filter(blocked_id=user_id, blocker_id__in=list(others))
    return {UserId(block.blocker_id) for block in blocks.only("blocker_id")}


def lock_users(one: UserId, other: UserId) -> None:
    """Lock two users until the end of the transaction: a block and a new contact between them run in sequence."""
    list(User.objects.select_for_update(no_key=True).filter(pk__in=(one, other)).order_by("pk").values_list("pk"))
