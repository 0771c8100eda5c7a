"""The pages without a browser: who gets them, what stands in them, what they cost."""

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import devices, sessions
from accounts.models import User
from tests.factories import Someone, direct, group, say, someone


def signed_in(person: Someone) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=person.id))
    return client


def state_of(page: bytes) -> Any:
    """Return what the page hands to the modules."""
    found = re.search(r'<script id="initial-state" type="application/json">(.*?)</script>', page.decode(), re.S)
    assert found
    return json.loads(found[1])


def texts_in(page: bytes) -> list[str]:
    body = page.decode().split("<template")[0]
    return re.findall(r'<div class="text" data-part="text" dir="auto"\s*>(.*?)</div>', body, re.S)


def test_conversation_page_has_its_newest_fifty_messages_as_html_and_as_state() -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = direct(ada, bob)
    for number in range(10):
        say(ada, chat, f"of Ada {number}")
        say(bob, chat, f"of Bob {number}")
    page = signed_in(ada).get(f"/c/{chat}/")

    assert texts_in(page.content) == [f"of {who} {number}" for number in range(10) for who in ("Ada", "Bob")]
    state = state_of(page.content)
    assert [m["seq"] for m in state["page"]["messages"]] == list(range(1, 21))
    assert (state["chatId"], state["pane"], state["page"]["hasMore"]) == (str(chat), "chat", False)
    assert state["conversations"][0]["unreadCount"] == 10
    assert state["epoch"]


def test_root_page_shows_the_newest_conversation() -> None:
    ada, bob, chen = someone("Ada"), someone("Bob"), someone("Chen")
    older, newer = direct(ada, bob), direct(ada, chen)
    say(chen, newer, "second")
    say(bob, older, "third")
    state = state_of(signed_in(ada).get("/").content)
    assert (state["chatId"], state["pane"]) == (str(older), "list")


def test_conversation_page_needs_membership() -> None:
    ada, bob, eve = someone("Ada"), someone("Bob"), someone("Eve")
    chat = direct(ada, bob)
    assert signed_in(eve).get(f"/c/{chat}/").status_code == 404
    assert signed_in(eve).get("/c/1/").status_code == 404
    assert Client().get(f"/c/{chat}/").headers["Location"].startswith("/accounts/login/")


def test_signed_out_device_is_redirected_to_sign_in() -> None:
    ada = someone("Ada")
    client = signed_in(ada)
    assert client.get("/settings/").status_code == 200
    devices.revoke(ada.id, client.session[sessions.DEVICE_KEY])
    assert client.get("/settings/").headers["Location"].startswith("/accounts/login/")


def test_message_text_cannot_break_out_of_the_page_state() -> None:
    ada, bob = someone("Ada </script><b>"), someone("Bob")
    chat = group(ada, bob, name="<i>group</i>")
    say(ada, chat, "</script><script>alert(1)</script>")
    page = signed_in(bob).get(f"/c/{chat}/")
    text = page.content.decode()
    assert "<script>alert" not in text
    assert "<i>group" not in text
    assert "<b>" not in text
    assert state_of(page.content)["page"]["messages"][0]["content"] == "</script><script>alert(1)</script>"


def test_csp_allows_only_own_scripts_and_styles() -> None:
    policy = signed_in(someone("Ada")).get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in f"{policy};"
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/", "/c/{}/"])
def test_page_query_count_is_constant(path: str) -> None:
    few, many = someone("Few"), someone("Many")
    small = group(few, someone("Other"))
    others = [someone(f"Member {number}") for number in range(12)]
    for number in range(6):
        large = group(many, *others, name=f"group {number}")
        say(many, large, "hello")
    costs = []
    for person, chat in ((few, small), (many, large)):
        client = signed_in(person)
        client.get("/")
        with CaptureQueriesContext(
            connection,
        ) as spent:
            assert client.get(path.format(chat)).status_code == 200
        costs.append(len(spent))
    assert costs[0] == costs[1]
    assert costs[0] <= 11
