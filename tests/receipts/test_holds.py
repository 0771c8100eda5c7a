"""Legal holds while partitions are dropped: no row under a hold is dropped (F110, K47)."""

from datetime import date

import pytest
from django.db import OperationalError, transaction

from holds import holds
from receipts import partitions
from receipts.marks import Mark, record_marks
from tests.chat.sessions import at_once
from tests.factories import direct, say, someone
from tests.receipts.log import expire_rows, log_ranges


def test_drop_waits_for_a_hold_that_is_being_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the hold would be confirmed, and its rows dropped a moment later."""
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "100ms")
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(ada, chat)
    record_marks([Mark(bob.id, chat, 1, 0, bob.device_id)])
    expire_rows(chat, date(2019, 3, 15))

    with transaction.atomic():
        hold = holds.set_hold(by="Legal", reason="case 7", conversation_id=chat)
        with pytest.raises(OperationalError, match="lock timeout"):
            at_once([partitions.drop_expired])
    held = partitions.drop_expired()
    still = log_ranges(chat)
    holds.release(hold)

    assert (held, len(still), partitions.drop_expired(), log_ranges(chat)) == (0, 1, 1, [])


def test_concurrent_drops_drop_a_partition_once() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(ada, chat)
    record_marks([Mark(bob.id, chat, 1, 0, bob.device_id)])
    partition = expire_rows(chat, date(2019, 6, 15))

    assert sorted(at_once([partitions.drop_expired] * 3)) == [0, 0, 1]
    partition.refresh_from_db()
    assert partition.rows == 1
