"""A demo team with a few people and conversations; everything through the use-cases that clients use."""

from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts import contacts, users
from accounts.models import User
from chat.conversations import conversations
from chat.messages import ingest, validation
from chat.teams import channels, teams
from gateway.ids import ConversationId, UserId

PASSWORD = "parley-demo"  # noqa: S105
PEOPLE = (("Ada Lovelace", "ada"), ("Bob Kahn", "bob"), ("Chen Wei", "chen"), ("Dana Scott", "dana"))
DIRECT = (
    (0, 1, "Morning! Did the import finish over night?"),
    (1, 0, "It did. 48,761 messages, none lost."),
    (0, 1, "Then let us show it at ten."),
)
GROUP = (
    (2, "Welcome to the release room."),
    (0, "Two commands on a fresh machine: that is all a new colleague needs."),
    (3, "And `script/test` to see that it holds."),
    (1, "Shipping notes are in the folder. Anything missing?"),
)


class Command(BaseCommand):
    help = "Create the demo team in an empty database, and print how to sign in."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("The demo team has a known password: only with PARLEY_DEMO=1.")
        if not User.objects.exists():
            self._create()
        for name, email in PEOPLE:
            self.stdout.write(f"  {name:<14} {email}@example.com   {PASSWORD}")

    def _create(self) -> None:
        people = [
            users.register(display_name=name, email=f"{email}@example.com", password=PASSWORD) for name, email in PEOPLE
        ]
        User.objects.filter(id=people[0].id).update(is_staff=True, is_superuser=True)
        for person in people:
            for other in people:
                if person.id != other.id:
                    contacts.add(UserId(person.id), UserId(other.id))
        direct, _ = conversations.open_direct(UserId(people[0].id), people[1].id)
        for sender, _, text in DIRECT:
            _say(UserId(people[sender].id), direct.id, text)
        group = conversations.create_group(UserId(people[2].id), "Release room", [p.id for p in people])
        for sender, text in GROUP:
            _say(UserId(people[sender].id), group.id, text)
        self._create_team([person.id for person in people])

    def _create_team(self, people: list[int]) -> None:
        """A team with a public channel, which the last of them has not joined yet, and a broadcast."""
        team = teams.create(UserId(people[0]), "Parley", "The people of the demo")
        teams.add(UserId(people[0]), team, *people[1:])
        channel = channels.create(
            UserId(people[1]),
            team,
            kind="channel",
            name="Kitchen",
            topic="What is for lunch",
            member_ids=people[:3],
        )
        _say(UserId(people[1]), channel.id, "Soup today. `#kitchen` is open to the whole team.")
        news = channels.create(
            UserId(people[0]),
            team,
            kind="broadcast",
            name="Announcements",
            topic="Only admins write",
            member_ids=people,
        )
        _say(UserId(people[0]), news.id, "Welcome aboard. Here you hear from us, and everybody hears the same.")


def _say(sender_id: UserId, conversation_id: str, text: str) -> None:
    draft = validation.draft(
        conversation_id=ConversationId(int(conversation_id)), sender_id=sender_id, client_id=str(uuid4()), content=text
    )
    ingest.store(draft)
