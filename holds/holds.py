"""Legal holds are set, listed and released; sweeps ask which rows one covers (F110, K47)."""

import logging
from datetime import datetime

from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from gateway.errors import InvalidPayload, NotFound
from holds.models import Hold

logger = logging.getLogger(__name__)
# Of the alias `h`: the hold is in force now.
IN_FORCE_SQL = "h.released_at IS NULL AND (h.until IS NULL OR h.until > now())"
# Lets other sweeps go on, and has a hold that is being set wait. SHARE conflicts with every INSERT and UPDATE.
LOCK = "LOCK TABLE receipts_hold IN SHARE MODE"


def set_hold(
    *,
    by: str,
    reason: str,
    conversation_id: int | None = None,
    user_id: int | None = None,
    until: datetime | None = None,
) -> int:
    """Keep everything of a conversation, or of a user, until the hold ends or is released; return the hold's id.

    Raises InvalidPayload where neither is named.
    """
    if conversation_id is None and user_id is None:
        raise InvalidPayload("of which conversation or user?", field="conversationId")
    hold = Hold.objects.create(
        conversation_id=conversation_id, user_id=user_id, held_by=by, reason=reason, held_until=until
    )
    logger.warning("hold %s by %s: conversation %s, user %s", hold.pk, by, conversation_id, user_id)
    return hold.pk


def _in_force() -> tuple[Q, Q]:
    return Q(held_until=None) | Q(held_until__gt=Now()), Q(released_at=None)


def in_force() -> list[Hold]:
    """Return the holds in force, the oldest first."""
    return list(Hold.objects.filter(*_in_force()).order_by("id"))


def release(hold_id: int) -> None:
    """End a hold now. Raises NotFound for one that is not in force."""
    if not Hold.objects.filter(*_in_force(), pk=hold_id).update(released_at=Now()):
        raise NotFound
    logger.warning("hold %s is released", hold_id)


def covering(*, user: str, conversation: str | None = None) -> Exists:
    """Return the condition that a hold in force covers a row, for `filter` and `exclude` of a QuerySet.

    `user` and `conversation` name the row's columns; rows without a conversation leave it out. Call `wait_for_new_holds`
    first in the same transaction.
    """
    holds = Hold.objects.filter(*_in_force()).filter(Q(user_id=None) | Q(user_id=OuterRef(user)))
    if conversation is None:
        return Exists(holds.filter(conversation_id=None))
    return Exists(holds.filter(Q(conversation_id=None) | Q(conversation_id=OuterRef(conversation))))


def covers(*, user_id: int, conversation_id: int | None = None) -> bool:
    """Say whether a hold in force covers what this user has in this conversation, or outside of all conversations.

    Waits for holds that are being set, as `wait_for_new_holds`: call it in the transaction that would remove something.
    """
    wait_for_new_holds()
    conversations = Q(conversation_id=None)
    if conversation_id is not None:
        conversations |= Q(conversation_id=conversation_id)
    return Hold.objects.filter(*_in_force(), conversations, Q(user_id=None) | Q(user_id=user_id)).exists()


def wait_for_new_holds() -> None:
    """Wait for every hold that is being set, and let no new one be set until the transaction in progress ends.

    Without it a hold could be acknowledged while a sweep that did not see it removes what the hold is for.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
