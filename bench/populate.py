"""Creates the people and conversations of a run by the project's own use-cases; JSON on standard input and output.

The only module of the bench that imports Django: it runs in a process of its own, after `django.setup()`.
"""

import sys
import uuid

import msgspec
from django.db import transaction

from accounts import devices, tokens
from accounts.users import register
from bench.fixtures import Chat, FixtureRequest, Fixtures, Person
from chat.conversations.conversations import create_group, open_direct
from gateway.ids import UserId

PLATFORM = "bench"


def create_fixtures(request: FixtureRequest) -> Fixtures:
    """Create the people, each with a signed-in device, and their conversations."""
    with transaction.atomic():
        people = [_register_person(name) for name in request.names]
    chats = []
    for one, other in request.pairs:
        direct, _ = open_direct(UserId(people[one].id), people[other].id)
        chats.append(Chat(int(direct.id), direct.seq, direct.rev, [one, other]))
    for group in request.groups:
        owner, *others = group.members
        created = create_group(UserId(people[owner].id), group.name, [people[place].id for place in others])
        chats.append(Chat(int(created.id), created.seq, created.rev, group.members))
    return Fixtures(people, chats)


def _register_person(name: str) -> Person:
    """Register a user without a password and sign a device in."""
    user = register(display_name=name, password=None, email=f"{uuid.uuid4().hex}@bench.invalid")
    device = devices.add(UserId(user.id), name=PLATFORM, platform=PLATFORM)
    return Person(user.id, tokens.issue(device).access)


def main() -> None:
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=FixtureRequest)
    sys.stdout.buffer.write(msgspec.json.encode(create_fixtures(request)))
