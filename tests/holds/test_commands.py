"""`manage.py hold`: holds are set, listed and released by the people who run the installation."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from holds.models import Hold
from tests.factories import direct, someone


def run(*words: str) -> str:
    out = StringIO()
    call_command("hold", *words, stdout=out)
    return out.getvalue().strip()


def test_hold_is_set_listed_and_released() -> None:
    chat = direct(someone(), someone())

    number = run("set", "--chat", str(chat), "--by", "Legal", "--reason", "case 7", "--until", "2099-01-01T00:00:00Z")
    listed = run("list")
    run("release", number.removeprefix("hold "))

    assert f"{number}: conversation {chat}, user any, by Legal" in listed
    assert number + ":" not in run("list")
    assert Hold.objects.get(conversation_id=chat).released_at is not None
    with pytest.raises(CommandError):
        run("release", number.removeprefix("hold "))
    with pytest.raises(CommandError, match="until"):
        run("set", "--user", "1", "--by", "L", "--reason", "r", "--until", "soon")
    with pytest.raises(CommandError, match="which"):
        run("set", "--by", "L", "--reason", "r")
