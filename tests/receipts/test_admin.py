"""The staff's trace page: no message content, an inspection for each look, staff only."""

from secrets import token_hex

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts import users
from accounts.models import User
from gateway.ids import DeviceId
from receipts import queries, traces
from receipts.marks import Mark, record_marks
from receipts.models import Inspection
from tests.factories import group, say, someone

LOOK = reverse("admin:receipts_inspection_look")
HEADING = b">Recipient<"


def browser_of(*, is_staff: bool) -> Client:
    """Return a browser with a signed-in user."""
    email, password = f"{token_hex(8)}@example.org", "quiet-Harbour-lantern"
    person = users.register(display_name="Staff", email=email, password=password)
    User.objects.filter(id=person.pk).update(is_staff=is_staff, is_superuser=is_staff)
    browser = Client()
    browser.post(reverse("account_login"), {"login": email, "password": password, "next": "/admin/"})
    return browser


def test_staff_page_shows_the_trace_without_the_content() -> None:
    ada, bob, eve = someone("Ada"), someone("Bob Traced"), someone("Eve")
    chat = group(ada, bob, eve)
    said = say(ada, chat, "secret-word")
    record_marks([Mark(bob.id, chat, 0, said.seq, DeviceId(0))])
    staff = browser_of(is_staff=True)

    page = staff.post(LOOK, {"message_id": said.id, "reason": "ticket 7"}).content.decode()
    listed = staff.get(reverse("admin:receipts_inspection_changelist")).content.decode()

    assert HEADING.decode() in page
    assert "Bob Traced" in page
    assert "seen" in page
    assert "secret-word" not in page + listed
    assert Inspection.objects.get(message_id=said.id).reason == "ticket 7"
    assert "ticket 7" in listed


@pytest.mark.parametrize("sent", [{}, {"message_id": "1"}, {"message_id": "x", "reason": "r"}, {"reason": "r"}])
def test_staff_page_needs_a_message_and_a_reason(sent: dict[str, str]) -> None:
    before = Inspection.objects.count()

    page = browser_of(is_staff=True).post(LOOK, sent)

    assert page.status_code == 200
    assert HEADING not in page.content
    assert Inspection.objects.count() == before


def test_recipients_of_a_trace_come_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "PAGE_SIZE", 1)
    monkeypatch.setattr(traces, "PAGE_SIZE", 1)
    ada, first, second = someone("Ada"), someone("First Page"), someone("Second Page")
    said = say(ada, group(ada, first, second))
    staff, asked = browser_of(is_staff=True), {"message_id": said.id, "reason": "ticket 8"}

    page = staff.post(LOOK, asked)
    next_page = staff.post(LOOK, {**asked, "cursor": page.context["trace"].next_cursor}).content.decode()
    foreign = staff.post(LOOK, {**asked, "cursor": "no cursor"}).content

    assert ("First Page" in page.content.decode(), "Second Page" in page.content.decode()) == (True, False)
    assert ("First Page" in next_page, "Second Page" in next_page) == (False, True)
    assert b"errorlist" in foreign


def test_staff_page_reports_an_unknown_message() -> None:
    page = browser_of(is_staff=True).post(LOOK, {"message_id": "1", "reason": "r"}).content

    assert b"errorlist" in page
    assert HEADING not in page


def test_staff_page_needs_the_permission_to_look_at_traces() -> None:
    """To see the list of inspections is less than to look."""
    ada = someone()
    said = say(ada, group(ada, someone()))
    browser = browser_of(is_staff=True)
    helper = User.objects.get(pk=browser.session["_auth_user_id"])
    User.objects.filter(pk=helper.pk).update(is_superuser=False)
    asked = {"message_id": said.id, "reason": "curious"}

    helper.user_permissions.add(Permission.objects.get(codename="view_inspection"))
    assert browser.get(reverse("admin:receipts_inspection_changelist")).status_code == 200
    assert (browser.get(LOOK).status_code, browser.post(LOOK, asked).status_code) == (403, 403)
    assert not Inspection.objects.filter(message_id=said.id).exists()

    helper.user_permissions.add(Permission.objects.get(codename="add_inspection"))
    assert HEADING in browser.post(LOOK, asked).content


def test_staff_page_redirects_everybody_else() -> None:
    ada = someone()
    said = say(ada, group(ada))

    for browser in (Client(), browser_of(is_staff=False)):
        assert browser.post(LOOK, {"message_id": said.id, "reason": "r"}).status_code == 302

    assert not Inspection.objects.filter(message_id=said.id).exists()
