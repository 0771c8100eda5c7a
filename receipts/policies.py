"""What is different in one conversation: names in lists of receipts, and how long the log is kept."""

import logging

from django.db.models.functions import Now

from chat.access import member_of
from gateway.errors import InvalidPayload
from receipts import partitions
from receipts.models import Policy

logger = logging.getLogger(__name__)
MOST_DAYS = 2557  # seven years


def read_list_names(user_id: int, conversation_id: int) -> bool | None:
    """Return whether lists bear names in a conversation, None for "by its size". Raises NotAMember."""
    member_of(user_id, conversation_id)
    return Policy.objects.filter(pk=conversation_id).values_list("lists_names", flat=True).first()


def set_list_names(user_id: int, conversation_id: int, names: bool | None) -> None:
    """Let lists of receipts bear names, or not, or go by the size (K5). Raises NotAMember, and Forbidden for no admin."""
    member_of(user_id, conversation_id, may="manage")
    Policy.objects.update_or_create(pk=conversation_id, defaults={"lists_names": names, "updated_at": Now()})


def set_retention(conversation_id: int, *, days: int | None, reason: str) -> None:
    """Keep the log of a conversation for so many days from now on, neither shorter nor longer (F108); None ends that.

    What has been written keeps the time that it was written with. Raises InvalidPayload.
    """
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise InvalidPayload(f"days: 1 to {MOST_DAYS}", field="days")
    if days is not None:
        partitions.make_for_periods({days})
    values = {"kept_days": days, "reason": reason, "updated_at": Now()}
    Policy.objects.update_or_create(pk=conversation_id, defaults=values)
    logger.warning("the receipts of conversation %s are kept for %s days", conversation_id, days or "the usual")
