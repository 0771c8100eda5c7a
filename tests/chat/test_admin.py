"""What the staff sees of conversations: who and how many, never a word of what was said (F233), and nothing to change."""

from secrets import token_hex

import pytest
from django.test import Client
from django.urls import reverse

from accounts import users
from accounts.models import User
from chat.conversations import preferences
from chat.models import Conversation, Flag, Member, Team, TeamMember
from chat.teams import channels, teams
from tests.factories import group, say, someone

TABLES = ("conversation", "member", "team", "teammember", "flag")


@pytest.fixture
def staff() -> Client:
    """A browser in which a superuser has signed in."""
    email, password = f"{token_hex(8)}@example.org", "quiet-Harbour-lantern"
    person = users.register(display_name="Staff", email=email, password=password)
    User.objects.filter(id=person.pk).update(is_staff=True, is_superuser=True)
    browser = Client()
    browser.post(reverse("account_login"), {"login": email, "password": password, "next": "/admin/"})
    return browser


def test_staff_finds_conversations_without_message_text(staff: Client) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = group(ada, bob, name="Findable")
    say(ada, chat, "secret-word")
    preferences.change(ada.id, chat, {"draft": "secret-draft"})
    team = teams.create(ada.id, "Crew")
    channels.create(ada.id, team, kind="channel", name="deck")
    Flag.objects.create(user_id=bob.id, reason="reach", detail="wrote to many")
    newest = {
        "conversation": chat,
        "member": Member.objects.filter(conversation_id=chat)[0].pk,
        "team": team,
        "teammember": TeamMember.objects.get(team_id=team).pk,
        "flag": Flag.objects.get(user_id=bob.id).pk,
    }

    pages = [staff.get(reverse(f"admin:chat_{table}_changelist")) for table in TABLES]
    pages += [staff.get(reverse(f"admin:chat_{table}_change", args=[newest[table]])) for table in TABLES]
    found = staff.get(reverse("admin:chat_conversation_changelist"), {"q": str(chat)}).content.decode()

    assert [page.status_code for page in pages] == [200] * 10
    assert "Findable" in found
    assert not any(b"secret" in page.content for page in pages)


@pytest.mark.parametrize("table", TABLES)
def test_admin_pages_cannot_add_change_or_delete(staff: Client, table: str) -> None:
    ada = someone()
    chat = group(ada)
    team = teams.create(ada.id, "Crew")
    flag = Flag.objects.create(user_id=ada.id, reason="reach")
    row = {
        "conversation": chat,
        "member": Member.objects.get(conversation_id=chat).pk,
        "team": team,
        "teammember": TeamMember.objects.get(team_id=team).pk,
        "flag": flag.pk,
    }[table]

    answers = [
        staff.get(reverse(f"admin:chat_{table}_add")),
        staff.post(reverse(f"admin:chat_{table}_change", args=[row]), {"name": "Mine"}),
        staff.post(reverse(f"admin:chat_{table}_delete", args=[row]), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert Conversation.objects.get(id=chat).name == "A group"
    assert Team.objects.get(id=team).name == "Crew"
