"""Reads of receipts: counts, names if the chat lists them, nothing hidden by a setting or block (K1, K5, K8)."""

from dataclasses import replace
from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts import blocks, devices, privacy
from chat import read_state
from chat.conversations import members
from chat.ids import MessageId
from chat.messages import history
from chat.refusals import NotAMember
from gateway.errors import Forbidden, NotFound
from gateway.frames import Session
from gateway.ids import ConversationId
from gateway.paging import read_cursor
from receipts import partitions, policies, queries
from receipts.marks import Mark, record_marks
from receipts.models import Transition
from tests.factories import Someone, another_device, crowd, direct, group, say, say_many, someone
from tests.receipts.log import expire_rows

QUIET = {"send_read_receipts": False}
BLIND = {"show_read_receipts": False}


def session(person: Someone) -> Session:
    return Session(person.id, person.device_id, None)


def list_rows(viewer: Someone, message: int) -> list[tuple[str, str, str]]:
    """Return the rows shown to a viewer as (recipient, device, state)."""
    answer = queries.list_receipts(session(viewer), MessageId(message))
    return [(r.recipient_id, r.device_id, r.state) for r in answer.results]


def read_summary(viewer: Someone, message: int) -> tuple[int, int, int, str]:
    """Return what a viewer is shown: recipients, delivered, seen, state."""
    answer = queries.read_delivery_state(session(viewer), MessageId(message))
    assert queries.list_receipts(session(viewer), MessageId(message)).counts == answer.counts
    return answer.counts.recipients, answer.counts.delivered, answer.counts.seen, answer.state


def test_receipts_list_each_device_with_its_state() -> None:
    ada, bob = someone(), someone()
    desk, chat = another_device(bob), direct(ada, bob)
    first, second = say_many(ada, chat, 2)

    record_marks([Mark(bob.id, chat, 2, 0, bob.device_id)])
    record_marks([Mark(bob.id, chat, 0, 1, desk.device_id)])

    phone_row = (str(bob.id), str(bob.device_id), "delivered")
    assert list_rows(ada, first.id) == [phone_row, (str(bob.id), str(desk.device_id), "seen")]
    assert list_rows(ada, second.id) == [phone_row]
    (receipt, _) = queries.list_receipts(session(ada), first.id).results
    assert receipt.message_id == str(first.id)
    assert 30 * 86400 - 60 <= receipt.ttl <= 30 * 86400
    assert read_summary(ada, first.id) == (1, 1, 1, "seen")
    assert read_summary(ada, second.id) == (1, 1, 0, "delivered")
    state = queries.read_delivery_state(session(ada), first.id)
    assert (state.delivered_to, state.read_by) == ([str(bob.id)], [str(bob.id)])


def test_delivery_state_is_what_all_recipients_reached() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    message = say(ada, chat)

    before = read_summary(ada, message.id)
    record_marks([Mark(bob.id, chat, 0, message.seq, bob.device_id)])
    one = read_summary(ada, message.id)
    record_marks([Mark(cem.id, chat, message.seq, 0, cem.device_id)])

    assert [before, one, read_summary(ada, message.id)] == [
        (2, 0, 0, "sent"),
        (2, 1, 1, "sent"),
        (2, 2, 1, "delivered"),
    ]


@pytest.mark.parametrize("whose", ["reader", "reader's device", "viewer", "viewer's device"])
def test_privacy_setting_hides_and_restores_seen_receipts_at_once(whose: str) -> None:
    """K8: settings of both sides, user and device, apply when receipts are read; the log is unaffected (F111)."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    first, second = say_many(ada, chat, 2)
    record_marks([Mark(bob.id, chat, 2, 1, bob.device_id)])

    def switch(on: bool) -> None:
        person, flag = (bob, "send_read_receipts") if whose.startswith("reader") else (ada, "show_read_receipts")
        if whose.endswith("device"):
            privacy.change(person.id, settings={}, overrides={person.device_id: {flag: None if on else False}})
        else:
            privacy.change(person.id, settings={flag: on})

    shown = [read_summary(ada, first.id)]
    switch(on=False)
    record_marks([Mark(bob.id, chat, 0, 2, bob.device_id)])
    shown += [read_summary(ada, first.id), read_summary(ada, second.id)]
    rows = list_rows(ada, first.id) + list_rows(ada, second.id)
    switch(on=True)
    shown += [read_summary(ada, first.id), read_summary(ada, second.id)]

    seen, hidden = (1, 1, 1, "seen"), (1, 1, 0, "delivered")
    assert shown == [seen, hidden, hidden, seen, seen]
    assert {state for _, _, state in rows} == {"delivered"}
    assert Transition.objects.filter(conversation_id=chat, state=3).count() == 2


def test_seen_counts_only_devices_that_send_read_receipts() -> None:
    ada, bob = someone(), someone()
    desk, chat = another_device(bob), direct(ada, bob)
    messages = say_many(ada, chat, 3)
    privacy.change(bob.id, settings={}, overrides={bob.device_id: QUIET})

    record_marks([Mark(bob.id, chat, 0, 3, bob.device_id)])
    record_marks([Mark(bob.id, chat, 0, 2, desk.device_id)])

    assert [read_summary(ada, m.id)[2] for m in messages] == [1, 1, 0]
    devices.revoke(bob.id, bob.device_id)
    assert [read_summary(ada, m.id)[2] for m in messages] == [1, 1, 0]


def test_viewer_who_hides_receipts_still_sends_their_own() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    message, answer = say(ada, chat), say(bob, chat)
    record_marks([Mark(bob.id, chat, 0, 1, bob.device_id), Mark(ada.id, chat, 0, 2, ada.device_id)])
    privacy.change(bob.id, settings=BLIND)

    assert read_summary(ada, message.id)[3] == "seen"
    assert read_summary(bob, answer.id)[3] == "delivered"


def test_blocked_sender_sees_receipts_frozen_at_the_block() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    early = say(bob, chat)
    record_marks([Mark(ada.id, chat, 1, 0, ada.device_id)])
    blocks.block(ada.id, bob.id)
    late = say(bob, chat)

    record_marks([Mark(ada.id, chat, 2, 2, ada.device_id)])

    assert read_summary(bob, late.id) == (1, 0, 0, "sent")
    assert list_rows(bob, late.id) == []
    assert list_rows(bob, early.id) == [(str(ada.id), str(ada.device_id), "delivered")]
    assert read_summary(bob, early.id) == (1, 1, 0, "delivered")
    marks = {m.user_id: (m.delivered_seq, m.read_seq) for m in read_state.members_of(bob.viewer, [chat])[chat]}
    assert (marks[str(ada.id)], history.message_by_id(bob.viewer, early.id).state) == ((1, 0), "delivered")
    own = {m.user_id: (m.delivered_seq, m.read_seq) for m in read_state.members_of(ada.viewer, [chat])[chat]}
    assert own[str(ada.id)] == (2, 2)
    blocks.unblock(ada.id, bob.id)
    assert read_summary(bob, early.id) == (1, 1, 1, "seen")


def test_receipts_list_names_by_size_or_conversation_setting(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, receipt_names=3)
    ada, bob = someone(), someone()
    small, large = group(ada, bob, *crowd(1)), group(ada, bob, *crowd(2))
    messages = {chat: say(ada, chat) for chat in (small, large)}
    for chat, message in messages.items():
        record_marks([Mark(bob.id, chat, 0, message.seq, bob.device_id)])

    def read_names(chat: ConversationId) -> tuple[bool, int, int]:
        answer = queries.list_receipts(session(ada), messages[chat].id)
        return (
            answer.named,
            len(answer.results),
            len(queries.read_delivery_state(session(ada), messages[chat].id).read_by),
        )

    by_size = read_names(small), read_names(large)
    policies.set_list_names(ada.id, large, True)
    policies.set_list_names(ada.id, small, False)
    turned = read_names(small), read_names(large)
    policies.set_list_names(ada.id, large, None)

    assert by_size == ((True, 1, 1), (False, 0, 0))
    assert turned == ((False, 0, 0), (True, 1, 1))
    assert read_names(large) == (False, 0, 0)
    with pytest.raises(Forbidden):
        policies.set_list_names(bob.id, small, True)


def test_receipts_come_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "PAGE_SIZE", 2)
    ada, people = someone(), [someone() for _ in range(3)]
    chat = group(ada, *people)
    message = say(ada, chat)
    record_marks([Mark(p.id, chat, message.seq, 0, p.device_id) for p in people])

    first = queries.list_receipts(session(ada), message.id)
    second = queries.list_receipts(session(ada), message.id, after=read_cursor(first.next_cursor or "", int))

    assert [(len(page.results), page.has_more) for page in (first, second)] == [(2, True), (1, False)]
    assert {r.recipient_id for page in (first, second) for r in page.results} == {str(p.id) for p in people}


def test_large_chat_receipt_counts_are_cached(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, fanout_threshold=3, receipt_counts=600)
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    first, second = say_many(ada, chat, 2)
    before = read_summary(ada, first.id)

    record_marks([Mark(bob.id, chat, 0, second.seq, bob.device_id)])

    assert read_summary(ada, first.id) == before == (2, 0, 0, "sent")
    assert read_summary(ada, second.id) == (2, 1, 1, "sent")
    settings.LIMITS = replace(settings.LIMITS, fanout_threshold=50)
    assert read_summary(ada, first.id) == (2, 1, 1, "sent")


@pytest.mark.parametrize(("state", "number"), [(3, "seen_shown"), (2, "delivered_shown")])
def test_expired_receipt_is_no_longer_listed_but_still_counted(settings: Settings, state: int, number: str) -> None:
    """K1: a receipt is listed for one period, and kept for another."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    message = say(ada, chat)
    seen = state == 3
    record_marks([Mark(bob.id, chat, 0 if seen else 1, 1 if seen else 0, bob.device_id)])
    settings.LIMITS = replace(settings.LIMITS, **{number: 86400})

    inside = list_rows(ada, message.id)
    settings.LIMITS = replace(settings.LIMITS, **{number: 0})

    assert len(inside) == 1
    assert list_rows(ada, message.id) == []
    assert read_summary(ada, message.id)[3] == ("seen" if seen else "delivered")
    assert Transition.objects.filter(conversation_id=chat).count() == 1


def test_receipt_past_its_retention_is_not_listed() -> None:
    """A partition is dropped whole, so a row may outlive its retention by weeks, and under a hold by years."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    message = say(ada, chat)
    record_marks([Mark(bob.id, chat, 1, 0, bob.device_id)])
    before = list_rows(ada, message.id)

    expire_rows(chat, date(2018, 5, 15))
    over = list_rows(ada, message.id)
    partitions.drop_expired()

    assert len(before) == 1
    assert over == list_rows(ada, message.id) == []
    assert read_summary(ada, message.id)[3] == "delivered"


def test_receipt_ttl_is_limited_by_its_retention() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    message = say(ada, chat)
    policies.set_retention(chat, days=2, reason="short")
    record_marks([Mark(bob.id, chat, 0, 1, bob.device_id)])

    (receipt,) = queries.list_receipts(session(ada), message.id).results

    assert 2 * 86400 - 60 <= receipt.ttl <= 2 * 86400


def test_only_members_at_the_time_are_recipients() -> None:
    ada, bob, cem, eve = (someone() for _ in range(4))
    chat = group(ada, bob, cem)
    message = say(ada, chat)
    members.remove(ada.id, chat, cem.id)
    members.add(ada.id, chat, eve.id)

    assert read_summary(ada, message.id)[0] == 1
    assert read_summary(eve, message.id)[0] == 1, "a new member who sees history sees its receipts"
    with pytest.raises(NotAMember):
        queries.list_receipts(session(cem), message.id)
    with pytest.raises(NotFound):
        queries.read_delivery_state(session(someone()), message.id)


def test_retention_of_a_conversation_applies_to_new_rows() -> None:
    ada, bob = someone(), someone()
    chat, usual = direct(ada, bob), group(ada, bob)
    for one in (chat, usual):
        say(ada, one)
    policies.set_retention(chat, days=2557, reason="finance")

    record_marks([Mark(bob.id, one, 1, 0, bob.device_id) for one in (chat, usual)])
    policies.set_retention(chat, days=None, reason="over")
    record_marks([Mark(bob.id, chat, 0, 1, bob.device_id)])

    kept = [
        (r.expires_at - r.marked_at).days for r in Transition.objects.filter(conversation_id=chat).order_by("state")
    ]
    assert kept == [2557, 30]
    assert [(r.expires_at - r.marked_at).days for r in Transition.objects.filter(conversation_id=usual)] == [30]


def test_query_count_does_not_depend_on_the_number_of_members() -> None:
    ada, bob = someone(), someone()
    counts = []
    for chat in (group(ada, bob), group(ada, bob, *crowd(15))):
        message = say(ada, chat)
        record_marks([Mark(bob.id, chat, message.seq, 0, bob.device_id)])
        with CaptureQueriesContext(connection) as asked:
            queries.list_receipts(session(ada), message.id)
        counts.append(len(asked))

    assert counts[0] == counts[1] <= 12
