"""The receipt settings of one conversation: names in lists, and the retention of its log."""

import logging

from django.db.models.functions import Now

from chat.access import member_of
from gateway.errors import InvalidPayload
from gateway.ids import ConversationId, UserId
from receipts import partitions
from receipts.models import Policy

logger = logging.getLogger(__name__)
MOST_DAYS = 2557  # seven years


def read_list_names(user_id: UserId, conversation_id: ConversationId) -> bool | None:
    """Return whether receipts list names in a conversation; None: its size decides. Raises NotAMember."""
    member_of(user_id, conversation_id)
    return Policy.objects.filter(pk=conversation_id).values_list("lists_names", flat=True).first()


def set_list_names(user_id: UserId, conversation_id: ConversationId, names: bool | None) -> None:
    """Set whether receipts list names; None: the size decides (K5). Raises NotAMember, Forbidden unless an admin."""
    member_of(user_id, conversation_id, may="manage")
    Policy.objects.update_or_create(pk=conversation_id, defaults={"lists_names": names, "updated_at": Now()})


def set_retention(conversation_id: ConversationId, *, days: int | None, reason: str) -> None:
    """Keep new rows of a conversation's log for exactly so many days (F108); None restores the usual periods.

    Rows written before keep the period that they were written with. Raises InvalidPayload.
    """
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise InvalidPayload(f"days: 1 to {MOST_DAYS}", field="days")
    if days is not None:
        partitions.make_for_periods({days})
    values = {"kept_days": days, "reason": reason, "updated_at": Now()}
    Policy.objects.update_or_create(pk=conversation_id, defaults=values)
    logger.warning("the receipts of conversation %s are kept for %s days", conversation_id, days or "the usual")
