"""May others know that I have read (K8)? Every reader of the rule gives the same answer, whatever the settings are."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from accounts import blocks, privacy
from chat import read_state
from chat.conversations import queries
from chat.frames import Watermark
from chat.ids import MessageId
from chat.messages import history
from chat.sync import sync
from gateway.frames import Session
from gateway.ids import ConversationId
from receipts import queries as receipts
from receipts import traces
from receipts.marks import Mark, record_marks
from tests.factories import Someone, another_device, direct, say, someone


class Read(NamedTuple):
    """Ada's message in her direct chat with Bob, who has read it on his device."""

    ada: Someone
    bob: Someone
    chat: int
    message: int

    @property
    def session(self) -> Session:
        return Session(self.ada.id, self.ada.device_id, None)


def nothing(ada: Someone, bob: Someone) -> None:
    """Leave every setting as it comes."""


def reader_sends_none(ada: Someone, bob: Someone) -> None:
    privacy.change(bob.id, settings={"send_read_receipts": False})


def viewer_wants_none(ada: Someone, bob: Someone) -> None:
    privacy.change(ada.id, settings={"show_read_receipts": False})


def reading_device_sends_none(ada: Someone, bob: Someone) -> None:
    privacy.change(bob.id, settings={}, overrides={bob.device_id: {"send_read_receipts": False}})


def other_device_of_the_reader_sends_none(ada: Someone, bob: Someone) -> None:
    privacy.change(bob.id, settings={}, overrides={another_device(bob).device_id: {"send_read_receipts": False}})


def viewing_device_wants_none(ada: Someone, bob: Someone) -> None:
    privacy.change(ada.id, settings={}, overrides={ada.device_id: {"show_read_receipts": False}})


def other_device_of_the_viewer_wants_none(ada: Someone, bob: Someone) -> None:
    privacy.change(ada.id, settings={}, overrides={another_device(ada).device_id: {"show_read_receipts": False}})


def reader_has_blocked_the_viewer(ada: Someone, bob: Someone) -> None:
    blocks.block(bob.id, ada.id)


SETTINGS: dict[Callable[[Someone, Someone], None], bool] = {
    nothing: True,
    reader_sends_none: False,
    viewer_wants_none: False,
    reading_device_sends_none: False,
    other_device_of_the_reader_sends_none: True,
    viewing_device_wants_none: False,
    other_device_of_the_viewer_wants_none: True,
    reader_has_blocked_the_viewer: False,
}


def listed(read: Read) -> bool:
    (chat,) = queries.conversation_list(read.ada.viewer).conversations
    return any(member.read_seq for member in chat.members if member.user_id == str(read.bob.id))


def conversation(read: Read) -> bool:
    chat = queries.conversation(read.ada.viewer, ConversationId(read.chat))
    return any(member.read_seq for member in chat.members if member.user_id == str(read.bob.id))


def members_page(read: Read) -> bool:
    members, _ = read_state.page(read.ada.viewer, ConversationId(read.chat))
    return any(member.read_seq for member in members if member.user_id == str(read.bob.id))


def history_page(read: Read) -> bool:
    page, _ = history.page(read.ada.viewer, ConversationId(read.chat), limit=10)
    return [message.state for message in page.messages] == ["seen"]


def one_message(read: Read) -> bool:
    return history.message_by_id(read.ada.viewer, MessageId(read.message)).state == "seen"


def sync_answer(read: Read) -> bool:
    (part,) = sync.changes(read.ada.viewer, {read.chat: Watermark(seq=0)}).chats
    return [message.state for message in part.messages] == ["seen"]


def receipt_counts(read: Read) -> bool:
    return receipts.list_receipts(read.session, MessageId(read.message)).counts.seen == 1


def receipt_list(read: Read) -> bool:
    return any(r.state == "seen" for r in receipts.list_receipts(read.session, MessageId(read.message)).results)


def delivery_state(read: Read) -> bool:
    return receipts.read_delivery_state(read.session, MessageId(read.message)).state == "seen"


def trace(read: Read) -> bool:
    return any(r.state == "seen" for r in traces.trace_for_sender(read.session, MessageId(read.message)).recipients)


READERS = [
    listed,
    conversation,
    members_page,
    history_page,
    one_message,
    sync_answer,
    receipt_counts,
    receipt_list,
    delivery_state,
    trace,
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_every_reader_shows_a_read_mark_exactly_where_the_settings_let_it(
    settings: Callable[[Someone, Someone], None],
) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = direct(ada, bob)
    message = say(ada, chat)
    settings(ada, bob)
    record_marks([Mark(bob.id, chat, 0, message.seq, bob.device_id)])
    read = Read(ada, bob, chat, message.id)

    shown = {reader.__name__: reader(read) for reader in READERS}

    assert shown == dict.fromkeys(shown, SETTINGS[settings])
