"""Traces: what the sender may know, everything for staff on record, never the content."""

import json
from dataclasses import replace

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from accounts import blocks, privacy
from accounts.models import User
from chat.ids import MessageId
from gateway import codec
from gateway.errors import Forbidden, InvalidPayload
from outbox.drain import drain
from receipts import traces
from receipts.bodies import RecipientTrace
from receipts.marks import Mark, record_marks
from receipts.models import Inspection
from tests.chat.rest import Api
from tests.factories import Someone, another_device, direct, group, say, someone
from tests.receipts.test_receipts import QUIET, session
from tests.servers import Server

WORDS = "nobody else's business"


def make_staff(*, may_look: bool = True) -> Someone:
    person = someone()
    User.objects.filter(pk=person.id).update(is_staff=True)
    if may_look:
        User.objects.get(pk=person.id).user_permissions.add(Permission.objects.get(codename="add_inspection"))
    return person


def read_trace(asked: Someone, message: int, *, reason: str | None = None) -> RecipientTrace:
    """Return the trace of the only recipient; assert that the trace has no content."""
    if reason is None:
        answer = traces.trace_for_sender(session(asked), MessageId(message))
    else:
        answer = traces.trace_for_staff(session(asked), MessageId(message), reason=reason)
    assert WORDS not in codec.encode(answer).decode()
    (recipient,) = answer.recipients
    return recipient


def test_sender_sees_when_each_device_got_the_message() -> None:
    ada, bob = someone(), someone()
    desk, chat = another_device(bob), direct(ada, bob)
    message = say(ada, chat, WORDS)
    before = read_trace(ada, message.id)

    record_marks([Mark(bob.id, chat, 1, 0, bob.device_id)])
    record_marks([Mark(bob.id, chat, 1, 1, desk.device_id)])
    after = read_trace(ada, message.id)

    assert (before.state, before.devices, before.hidden_by) == ("sent", [], [])
    times = {d.device_id: (d.delivered_at is not None, d.seen_at is not None) for d in after.devices}
    assert after.state == "seen"
    assert times == {str(bob.device_id): (True, False), str(desk.device_id): (False, True)}


def test_trace_is_published_once_the_outbox_is_done() -> None:
    ada, bob = someone(), someone()
    message = say(ada, direct(ada, bob), WORDS)

    before = traces.trace_for_sender(session(ada), message.id)
    drain([])

    assert (before.published, traces.trace_for_sender(session(ada), message.id).published) == (False, True)


def test_trace_names_the_hiding_setting_and_shows_staff_the_hidden_state() -> None:
    ada, bob, eve = someone(), someone(), make_staff()
    chat = direct(ada, bob)
    message = say(ada, chat, WORDS)
    privacy.change(bob.id, settings=QUIET)
    record_marks([Mark(bob.id, chat, 0, 1, bob.device_id)])

    for_sender, for_staff = read_trace(ada, message.id), read_trace(eve, message.id, reason="ticket 7")

    assert (for_sender.state, for_sender.hidden_by, for_sender.connections) == ("delivered", ["sendReadReceipts"], None)
    assert [d.seen_at for d in for_sender.devices] == [None]
    assert (for_staff.state, for_staff.hidden_by, for_staff.connections) == ("seen", ["sendReadReceipts"], [])
    assert [d.seen_at is None for d in for_staff.devices] == [False]
    privacy.change(bob.id, settings={"send_read_receipts": True}, overrides={bob.device_id: QUIET})
    assert read_trace(ada, message.id).hidden_by == []
    assert read_trace(eve, message.id, reason="ticket 7").hidden_by == ["sendReadReceipts of a device"]
    privacy.change(ada.id, settings={"show_read_receipts": False})
    assert read_trace(ada, message.id).hidden_by == ["showReadReceipts"]


def test_trace_shows_a_block_to_staff_alone() -> None:
    ada, bob, eve = someone(), someone(), make_staff()
    chat = direct(ada, bob)
    blocks.block(bob.id, ada.id)
    message = say(ada, chat, WORDS)
    record_marks([Mark(bob.id, chat, 1, 1, bob.device_id)])

    for_sender, for_staff = read_trace(ada, message.id), read_trace(eve, message.id, reason="ticket 8")

    assert (for_sender.state, for_sender.devices, for_sender.hidden_by) == ("sent", [], [])
    assert (for_staff.state, for_staff.hidden_by) == ("sent", ["blocked"])


def test_staff_trace_needs_a_reason_and_is_recorded() -> None:
    ada, bob, eve = someone(), someone(), make_staff()
    message = say(ada, direct(ada, bob), WORDS)

    read_trace(eve, message.id, reason=" ticket 9 ")
    for wrong in ("", "  ", "x" * 501):
        with pytest.raises(InvalidPayload):
            traces.trace_for_staff(session(eve), message.id, reason=wrong)
    with pytest.raises(Forbidden):
        traces.trace_for_staff(session(ada), message.id, reason="curious")

    (inspection,) = Inspection.objects.filter(message_id=message.id)
    assert (inspection.staff_id, inspection.reason) == (eve.id, "ticket 9")
    with pytest.raises(DatabaseError, match="append-only"):
        Inspection.objects.filter(pk=inspection.pk).delete()


def test_sender_gets_no_trace_where_names_are_not_listed(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, receipt_names=2)
    ada, bob, cem = someone(), someone(), someone()
    message = say(ada, group(ada, bob, cem), WORDS)

    with pytest.raises(Forbidden):
        traces.trace_for_sender(session(ada), message.id)
    assert len(traces.trace_for_staff(session(make_staff()), message.id, reason="ticket 10").recipients) == 2


def test_trace_route_serves_the_sender_and_staff_with_a_reason(server: Server) -> None:
    ada, bob, eve = someone(), someone(), make_staff()
    message = say(ada, direct(ada, bob), WORDS).id

    replies = [
        Api(server, who).get(f"messages/{message}/trace{query}")
        for who, query in ((ada, ""), (bob, ""), (ada, "?reason=x"), (eve, "?reason=x"), (eve, ""), (eve, "?reason="))
    ]

    assert [r.status for r in replies] == [200, 403, 403, 200, 404, 422]
    assert WORDS not in json.dumps([r.body for r in replies])


def test_staff_without_the_permission_sees_no_trace_over_rest_or_in_the_admin(server: Server) -> None:
    ada, bob = someone(), someone()
    said = say(ada, direct(ada, bob))
    staff = make_staff(may_look=False)

    with pytest.raises(Forbidden):
        traces.trace_for_staff(session(staff), said.id, reason="curious")
    answer = Api(server, staff).get(f"messages/{said.id}/trace?reason=curious")
    browser = Client()
    browser.force_login(User.objects.get(pk=staff.id))

    assert answer.status in (403, 404)
    assert browser.get(reverse("admin:receipts_inspection_look")).status_code == 403
    assert not Inspection.objects.filter(message_id=said.id).exists()
