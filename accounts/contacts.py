"""Contact lists (F212). A row puts one user on another's list; two rows, one each way, make a mutual contact."""

from functools import partial

from django.db import transaction

from accounts import access, blocks
from accounts.models import Block, Contact
from accounts.privacy import PRIVACY_CHANGED
from gateway import publish
from gateway.errors import Forbidden, InvalidPayload, NotFound
from gateway.ids import UserId


class BlockedByYou(Forbidden):
    """You have blocked this person: unblock first."""


def add(user_id: UserId, other_id: UserId) -> None:
    """Add a person to the user's contacts. A repeated call changes nothing.

    Raises InvalidPayload for the own id, NotFound for a missing user or one that blocks the caller, BlockedByYou.
    """
    if user_id == other_id:
        raise InvalidPayload("you are no contact of your own", field="userId")
    with transaction.atomic():
        blocks.lock_users(user_id, other_id)
        access.get_person(user_id, other_id)
        if Block.objects.filter(blocker_id=user_id, blocked_id=other_id).exists():
            raise BlockedByYou
        Contact.objects.get_or_create(user_id=user_id, contact_id=other_id)
        transaction.on_commit(partial(publish.notice, PRIVACY_CHANGED, [user_id]))


def remove(user_id: UserId, other_id: UserId) -> None:
    """Remove a person from the user's contacts. Raises NotFound for somebody who is no contact."""
    deleted, _ = Contact.objects.filter(user_id=user_id, contact_id=other_id).delete()
    if not deleted:
        raise NotFound
    transaction.on_commit(partial(publish.notice, PRIVACY_CHANGED, [user_id]))
