"""Nothing that a legal hold covers is removed while it is in force, and all of it may go once the hold has ended (F110)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import expiry as credentials
from accounts import tokens
from accounts.models import Device, RefreshToken
from chat.files import expiry, uploads
from chat.ids import AttachmentId, MessageId
from chat.messages import deletions, polls, reactions
from chat.models import Attachment, MessageVersion, Reaction, Vote
from holds import holds
from tests.chat.sessions import WAIT_SECONDS, at_once, until_somebody_waits
from tests.chat.uploads import png, ready, stored
from tests.factories import Someone, direct, draft, say, someone, store

DAY = timedelta(days=1)


class Evidence(NamedTuple):
    """A deleted message with a file, a reaction on it and a vote in a deleted poll, all of them due to be removed."""

    author: Someone
    chat: int
    file: Attachment

    def left(self) -> dict[str, bool]:
        """Say what is still there."""
        its = {"conversation_id": self.chat}
        return {
            "words": MessageVersion.objects.filter(**its).exists(),
            "reaction": Reaction.objects.filter(**its).exists(),
            "vote": Vote.objects.filter(**its).exists(),
            "file": Attachment.objects.filter(id=self.file.id).exists(),
            "bytes": stored(self.file.key) is not None,
        }


KEPT = {"words": True, "reaction": True, "vote": True, "file": True, "bytes": True}
REMOVED = dict.fromkeys(KEPT, False)


def sent() -> tuple[Evidence, list[int]]:
    """Send what is to be deleted; return it with the ids of the messages."""
    ada, bob = someone(), someone()
    chat, file = direct(ada, bob), ready(ada, png(), name="plan.png")
    poll = {"question": "?", "options": ["a", "b"]}
    message, asked = store(
        [draft(ada, chat, "secret", attachments=[str(file.id)]), draft(ada, chat, "", content_type="poll", data=poll)]
    )
    reactions.add(bob.id, message.id, "👍")
    polls.vote(bob.id, asked.id, [0])
    return Evidence(ada, chat, file), [message.id, asked.id]


def remove(evidence: Evidence, message_ids: list[int]) -> None:
    """Delete the messages for everyone, let their time pass and run every sweep."""
    for message_id in message_ids:
        deletions.delete(evidence.author.id, MessageId(message_id))
    overdue(evidence)


def overdue(evidence: Evidence) -> None:
    past = timezone.now() - 2 * DAY
    MessageVersion.objects.filter(conversation_id=evidence.chat).update(purge_at=past)
    Attachment.objects.filter(id=evidence.file.id).update(updated_at=past)
    deletions.purge()
    expiry.sweep()


def of_conversation(evidence: Evidence) -> int:
    return holds.set_hold(by="Legal", reason="case 7", conversation_id=evidence.chat)


def of_author(evidence: Evidence) -> int:
    return holds.set_hold(by="Legal", reason="case 7", user_id=evidence.author.id)


def of_author_there(evidence: Evidence) -> int:
    return holds.set_hold(by="Legal", reason="case 7", user_id=evidence.author.id, conversation_id=evidence.chat)


@pytest.mark.parametrize("cover", [of_conversation, of_author, of_author_there])
def test_deleted_messages_under_a_hold_stay_until_it_is_released(cover: Callable[[Evidence], int]) -> None:
    evidence, messages = sent()
    hold = cover(evidence)

    remove(evidence, messages)
    under_hold = evidence.left()
    holds.release(hold)
    overdue(evidence)

    assert under_hold == KEPT
    assert evidence.left() == REMOVED


@pytest.mark.parametrize("names", ["conversation", "user", "both"])
def test_hold_on_something_else_keeps_nothing(names: str) -> None:
    evidence, messages = sent()
    elsewhere, stranger = direct(someone(), someone()), someone()
    holds_on: dict[str, dict[str, Any]] = {
        "conversation": {"conversation_id": elsewhere},
        "user": {"user_id": stranger.id},
        "both": {"conversation_id": evidence.chat, "user_id": stranger.id},
    }
    named = holds_on[names]
    hold = holds.set_hold(by="Legal", reason="case 7", **named)

    remove(evidence, messages)

    assert evidence.left() == REMOVED
    holds.release(hold)


def test_hold_that_is_over_by_its_own_date_keeps_nothing() -> None:
    evidence, messages = sent()
    holds.set_hold(by="Legal", reason="case 7", conversation_id=evidence.chat, until=timezone.now() - DAY)

    remove(evidence, messages)

    assert evidence.left() == REMOVED


def test_reactions_that_a_hold_keeps_are_shown_to_nobody() -> None:
    evidence, (message, _) = sent()
    hold = of_conversation(evidence)

    deletions.delete(evidence.author.id, MessageId(message))

    assert evidence.left()["reaction"]
    assert reactions.people(evidence.author.id, MessageId(message), limit=10).people == []
    holds.release(hold)


def test_old_originals_under_a_hold_do_not_expire(settings: Settings) -> None:
    evidence, _ = sent()
    hold = of_conversation(evidence)
    settings.LIMITS = replace(settings.LIMITS, attachment_days=1)
    Attachment.objects.filter(id=evidence.file.id).update(stored_at=timezone.now() - 2 * DAY)

    expiry.sweep()
    status, there = Attachment.objects.get(id=evidence.file.id).status, stored(evidence.file.key) is not None
    holds.release(hold)
    expiry.sweep()

    assert (status, there) == ("ready", True)
    assert (Attachment.objects.get(id=evidence.file.id).status, stored(evidence.file.key)) == ("expired", None)


def test_cancelled_upload_of_a_user_under_a_hold_keeps_its_bytes() -> None:
    ada = someone()
    file = ready(ada, png(), name="plan.png")
    hold = holds.set_hold(by="Legal", reason="case 7", user_id=ada.id)

    uploads.cancel(ada.id, AttachmentId(file.id))
    kept = stored(file.key) is not None
    holds.release(hold)
    Attachment.objects.filter(id=file.id).update(updated_at=timezone.now() - 2 * DAY)
    expiry.sweep()

    assert kept
    assert (Attachment.objects.filter(id=file.id).exists(), stored(file.key)) == (False, None)


def test_expired_refresh_tokens_of_a_user_under_a_hold_stay() -> None:
    ada = someone()
    device = Device.objects.get(id=ada.device_id)
    tokens.issue(device)
    issued = RefreshToken.objects.filter(device=device).update(expires_at=timezone.now() - DAY)
    hold = holds.set_hold(by="Legal", reason="case 7", user_id=ada.id)

    credentials.sweep()
    kept = RefreshToken.objects.filter(device=device).count()
    holds.release(hold)
    credentials.sweep()

    assert (kept, RefreshToken.objects.filter(device=device).count()) == (issued, 0)


def test_purge_waits_for_a_hold_that_is_being_set() -> None:
    """Else the hold would be acknowledged, and what it is for removed a moment later."""
    evidence, messages = sent()
    for message in messages:
        deletions.delete(evidence.author.id, MessageId(message))
    MessageVersion.objects.filter(conversation_id=evidence.chat).update(purge_at=timezone.now() - DAY)

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            hold = of_conversation(evidence)
            purging = thread.submit(at_once, [deletions.purge])
            until_somebody_waits()
        purging.result(WAIT_SECONDS)

    assert evidence.left()["words"]
    holds.release(hold)


def test_message_sent_while_nothing_is_held_is_deleted_as_ever() -> None:
    ada = someone()
    message = say(ada, direct(ada, someone()), "secret")

    deletions.delete(ada.id, message.id)

    assert MessageVersion.objects.get(message_id=message.id).purge_at is not None
