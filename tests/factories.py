"""Users and conversations for tests, created by the use-cases. Each is unique: tests share no data."""

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from django.db import IntegrityError, connection, transaction

from accounts import devices, tokens, users
from chat.conversations import conversations
from chat.drafts import Draft, Stored
from chat.events import publish_stored
from chat.messages import ingest, validation
from chat.models import Conversation, Message
from gateway.frames import Viewer
from gateway.ids import ConversationId, DeviceId, UserId
from outbox.models import Outbox


class Someone(NamedTuple):
    """A registered user with a signed-in device and its access token."""

    id: UserId
    name: str
    device_id: DeviceId
    access: str

    @property
    def viewer(self) -> Viewer:
        """Themself on this device."""
        return Viewer(self.id, self.device_id)


def someone(name: str = "Someone") -> Someone:
    """Register a user with a unique e-mail address and one signed-in device."""
    user = users.register(display_name=name, email=f"{secrets.token_hex(8)}@example.org", password=None)
    return another_device(Someone(UserId(user.pk), name, DeviceId(0), ""))


def another_device(person: Someone) -> Someone:
    """Return the same user on a new device."""
    device = devices.add(person.id, name="test")
    return person._replace(device_id=DeviceId(device.pk), access=tokens.issue(device).access)


def direct(one: Someone, other: Someone) -> ConversationId:
    """Return the direct chat of two users."""
    return ConversationId(int(conversations.open_direct(one.id, other.id)[0].id))


def group(owner: Someone, *others: Someone, name: str = "A group") -> ConversationId:
    """Return a new group without the system message of its creation, so that the first message of a test has seq 1.

    That message is not published either, so that no connection of the test receives it.
    """
    with transaction.atomic():
        made = ConversationId(int(conversations.create_group(owner.id, name, [other.id for other in others]).id))
        Message.objects.filter(conversation_id=made).delete()
        Outbox.objects.filter(conversation_id=made).delete()
        Conversation.objects.filter(id=made).update(last_seq=0)
        connection.run_on_commit = [
            entry for entry in connection.run_on_commit if getattr(entry[1], "func", None) is not publish_stored
        ]
    return made


def crowd(size: int) -> list[Someone]:
    """Register users without devices, as members of large conversations."""
    people = [
        users.register(display_name=f"N{n}", email=f"{secrets.token_hex(8)}@example.org", password=None)
        for n in range(size)
    ]
    return [Someone(UserId(user.pk), user.display_name, DeviceId(0), "") for user in people]


def draft(sender: Someone, conversation_id: ConversationId, content: str = "hello", **more: Any) -> Draft:
    """Return a validated draft, with a new client id unless one is given."""
    fields = {"client_id": str(uuid4()), "content": content, **more}
    return validation.draft(conversation_id=conversation_id, sender_id=sender.id, **fields)


def store(drafts: Sequence[Draft]) -> list[Stored]:
    """Store a batch as a lane does, without limits and without publishing.

    Duplicates are searched only if the batch violates the unique constraint, and for refused drafts.
    """
    try:
        with transaction.atomic():
            stored = _ingest(drafts, careful=False)
    except IntegrityError:
        return _ingest(drafts, careful=True)
    return [
        result if result.outcome == "stored" else _ingest([draft], careful=True)[0]
        for draft, result in zip(drafts, stored, strict=True)
    ]


def _ingest(drafts: Sequence[Draft], *, careful: bool) -> list[Stored]:
    with connection.cursor() as cursor:
        cursor.execute(ingest.STORE, ingest._columns(drafts, careful=careful))
        return [Stored(*row) for row in cursor.fetchall()]


def say_many(sender: Someone, conversation_id: ConversationId, count: int) -> list[Stored]:
    """Store `count` messages "1", "2", … in one batch."""
    return store([draft(sender, conversation_id, str(n)) for n in range(1, count + 1)])


def say(
    sender: Someone, conversation_id: ConversationId, content: str = "hello", *, client_id: str | None = None
) -> Stored:
    """Store a message in its own transaction, as a process without a hub does."""
    draft = validation.draft(
        conversation_id=conversation_id, sender_id=sender.id, client_id=client_id or str(uuid4()), content=content
    )
    return ingest.store(draft)
