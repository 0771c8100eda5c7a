"""What the tests of the outbox share: an outbox that is empty before and after each."""

from collections.abc import Iterator

import pytest

from outbox.models import Job, Outbox
from tests.chat.conftest import generous as generous
from tests.factories import direct, draft, someone, store


@pytest.fixture(autouse=True)
def empty(generous: None) -> Iterator[None]:
    """Begin without the rows and jobs of other tests, and leave none."""
    clear()
    yield
    clear()


def clear() -> None:
    Outbox.objects.all().delete()
    Job.objects.all().delete()


def chat_with_messages(count: int) -> int:
    """Return a direct chat in which so many messages were stored, each in a batch of its own; no other row is left."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    Outbox.objects.filter(data__isnull=False).delete()
    for _ in range(count):
        store([draft(ada, chat)])
    return chat
