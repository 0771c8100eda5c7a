"""Contact lists (F212). A row is one's own list; rows both ways make a mutual contact."""

from functools import partial

from django.db import transaction

from accounts import access, blocks
from accounts.models import Block, Contact
from accounts.privacy import PRIVACY_CHANGED
from gateway import publish
from gateway.errors import Forbidden, InvalidPayload, NotFound


class BlockedByYou(Forbidden):
    """You have blocked this person: unblock first."""


def add(user_id: int, other_id: int) -> None:
    """Put a person on the user's list; once more changes nothing.

    Raises InvalidPayload for oneself, NotFound for nobody (or one who blocks the user), BlockedByYou.
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


def remove(user_id: int, other_id: int) -> None:
    """Take a person off the user's list. Raises NotFound where they were not on it."""
    deleted, _ = Contact.objects.filter(user_id=user_id, contact_id=other_id).delete()
    if not deleted:
        raise NotFound
    transaction.on_commit(partial(publish.notice, PRIVACY_CHANGED, [user_id]))
