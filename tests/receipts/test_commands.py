"""The management command for receipts."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from receipts.marks import Mark, record_marks
from receipts.models import Transition
from tests.factories import direct, say, someone


def run(*words: str) -> str:
    out = StringIO()
    call_command("receipts", *words, stdout=out)
    return out.getvalue().strip()


def test_regulate_command_sets_and_ends_a_retention() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(ada, chat)

    run("regulate", str(chat), "365", "--reason", "finance")
    record_marks([Mark(bob.id, chat, 1, 0, bob.device_id)])
    run("regulate", str(chat), "0", "--reason", "over")
    record_marks([Mark(bob.id, chat, 0, 1, bob.device_id)])

    rows = Transition.objects.filter(conversation_id=chat).order_by("state")
    assert [(row.expires_at - row.marked_at).days for row in rows] == [365, 30]
    with pytest.raises(CommandError, match="days"):
        run("regulate", str(chat), "2558", "--reason", "too long")
