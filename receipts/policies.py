"""What is different in one conversation: names in lists of receipts, how long the log is kept, legal holds."""

import logging
from datetime import datetime

from django.db.models import Q
from django.db.models.functions import Now

from chat.access import member_of
from gateway.errors import InvalidPayload, NotFound
from receipts import partitions
from receipts.models import Hold, Policy

logger = logging.getLogger(__name__)
MOST_DAYS = 2557  # seven years


def names_of(user_id: int, conversation_id: int) -> bool | None:
    """Return whether lists bear names in a conversation, None for "by its size". Raises NotAMember."""
    member_of(user_id, conversation_id)
    return Policy.objects.filter(pk=conversation_id).values_list("lists_names", flat=True).first()


def list_names(user_id: int, conversation_id: int, names: bool | None) -> None:
    """Let lists of receipts bear names, or not, or go by the size (K5). Raises NotAMember, and Forbidden for no admin."""
    member_of(user_id, conversation_id, may="manage")
    Policy.objects.update_or_create(pk=conversation_id, defaults={"lists_names": names, "updated_at": Now()})


def regulate(conversation_id: int, *, days: int | None, reason: str) -> None:
    """Keep the log of a conversation for so many days from now on, neither shorter nor longer (F108); None ends that.

    What has been written keeps the time that it was written with. Raises InvalidPayload.
    """
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise InvalidPayload(f"days: 1 to {MOST_DAYS}", field="days")
    if days is not None:
        partitions.make_for({days})
    values = {"kept_days": days, "reason": reason, "updated_at": Now()}
    Policy.objects.update_or_create(pk=conversation_id, defaults=values)
    logger.warning("the receipts of conversation %s are kept for %s days", conversation_id, days or "the usual")


def hold(
    *,
    by: str,
    reason: str,
    conversation_id: int | None = None,
    user_id: int | None = None,
    until: datetime | None = None,
) -> int:
    """Keep everything of a conversation, or of a user, until the hold is released or over; returns the hold's id."""
    if conversation_id is None and user_id is None:
        raise InvalidPayload("of which conversation or user?", field="conversationId")
    made = Hold.objects.create(
        conversation_id=conversation_id, user_id=user_id, held_by=by, reason=reason, held_until=until
    )
    logger.warning("hold %s by %s: receipts of conversation %s, user %s", made.pk, by, conversation_id, user_id)
    return made.pk


def holds() -> list[Hold]:
    """Return the holds in force, the oldest first."""
    return list(Hold.objects.filter(Q(held_until=None) | Q(held_until__gt=Now()), released_at=None).order_by("id"))


def release(hold_id: int) -> None:
    """End a hold now. Raises NotFound."""
    if not Hold.objects.filter(Q(held_until=None) | Q(held_until__gt=Now()), pk=hold_id, released_at=None).update(
        released_at=Now()
    ):
        raise NotFound
    logger.warning("hold %s is released", hold_id)
