"""Chat against a model of a page: whatever people do, each sees what the rules say, counts included."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from accounts import blocks
from chat.conversations import members, queries
from chat.frames import Watermark
from chat.messages import history
from chat.refusals import NotAMember
from chat.sync import sync
from gateway import bus
from gateway.errors import Forbidden, NotFound
from gateway.ids import ConversationId
from receipts.marks import Mark, record_marks
from tests.chat import rows
from tests.chat.conftest import GENEROUS
from tests.factories import direct, draft, group, someone, store

PEOPLE = 4
STEPS = 25
EXAMPLES = 15

people = st.integers(0, PEOPLE - 1)
chats = st.sampled_from(["group", "closed", "direct"])


@dataclass
class Said:
    """A message as the model knows it."""

    seq: int
    sender: int
    hidden: bool
    client_id: str
    system: bool = False


@dataclass
class Room:
    """A conversation as the model knows it: intervals of membership by person, each [joined, left or None]."""

    id: int
    direct: bool
    shares: bool
    said: list[Said] = field(default_factory=list)
    intervals: dict[int, list[list[int | None]]] = field(default_factory=dict)
    read: dict[int, int] = field(default_factory=dict)
    rev: int = 1

    @property
    def last(self) -> int:
        return len(self.said)

    def has(self, person: int) -> bool:
        return any(left is None for _, left in self.intervals.get(person, []))


class Talk(RuleBasedStateMachine):
    """A group that shares its history, one that does not, and a direct chat of the first two people."""

    @initialize()
    def begin(self) -> None:
        self.people = [someone(f"P{n}") for n in range(PEOPLE)]
        self.blocked: set[tuple[int, int]] = set()
        opened = group(self.people[0], self.people[1]), group(self.people[0], self.people[1])
        rows.change(opened[1], {"shares_history": False})
        both = direct(self.people[0], self.people[1])
        self.rooms = {
            "group": Room(opened[0], direct=False, shares=True),
            "closed": Room(opened[1], direct=False, shares=False),
            "direct": Room(both, direct=True, shares=True),
        }
        for room in self.rooms.values():
            room.intervals = {0: [[0, None]], 1: [[0, None]]}
            room.read = {0: 0, 1: 0}

    # --- what people do ----------------------------------------------------------------------------------------------

    @rule(who=people, where=chats, again=st.booleans())
    def say(self, who: int, where: str, again: bool) -> None:
        room = self.rooms[where]
        own = [said for said in room.said if said.sender == who and not said.system]
        repeated = own[-1] if again and own else None
        client_id = repeated.client_id if repeated else str(uuid4())
        (stored,) = store([draft(self.people[who], ConversationId(room.id), client_id=client_id)])
        if repeated:
            assert (stored.outcome, stored.seq) == ("duplicate", repeated.seq)
        elif not room.has(who):
            assert stored.outcome == "NOT_A_MEMBER"
        else:
            hidden = room.direct and (1 - who, who) in self.blocked
            room.said.append(Said(room.last + 1, who, hidden, client_id))
            if room.read[who] == room.last - 1:
                room.read[who] = room.last  # sending is not reading: decision 0011
            room.rev += 1
            assert (stored.outcome, stored.seq, stored.rev, stored.hidden) == ("stored", room.last, room.rev, hidden)

    @rule(who=people, whom=people, where=st.sampled_from(["group", "closed"]))
    def add(self, who: int, whom: int, where: str) -> None:
        room = self.rooms[where]
        try:
            members.add(self.people[who].id, ConversationId(room.id), self.people[whom].id)
        except (NotAMember, Forbidden):
            assert not self._manages(who, room)
            return
        except NotFound:
            assert (whom, who) in self.blocked and not room.has(whom)
            return
        assert self._manages(who, room)
        if not room.has(whom):
            room.intervals.setdefault(whom, []).append([room.last, None])
            room.read[whom] = room.last
            room.rev += 1
            self._announce(who, room)

    @rule(who=people, whom=people, where=st.sampled_from(["group", "closed"]))
    def remove(self, who: int, whom: int, where: str) -> None:
        room = self.rooms[where]
        if who == whom and self._manages(who, room):
            return  # somebody keeps the keys in this model
        try:
            members.remove(self.people[who].id, ConversationId(room.id), self.people[whom].id)
        except (NotAMember, Forbidden, NotFound):
            assert not (room.has(whom) and (self._manages(who, room) or (who == whom and room.has(who)))) or whom == 0
            return
        self._announce(who, room)
        room.intervals[whom][-1][1] = room.last
        room.rev += 1

    def _announce(self, who: int, room: Room) -> None:
        """Who does something with the members says so by a system message."""
        room.said.append(Said(room.last + 1, who, False, "", system=True))
        room.rev += 1

    @rule(who=people, whom=people)
    def block(self, who: int, whom: int) -> None:
        if who != whom:
            blocks.block(self.people[who].id, self.people[whom].id)
            self.blocked.add((who, whom))

    @rule(who=people, whom=people)
    def unblock(self, who: int, whom: int) -> None:
        if (who, whom) in self.blocked:
            blocks.unblock(self.people[who].id, self.people[whom].id)
            self.blocked.discard((who, whom))

    @rule(who=people, where=chats, seq=st.integers(0, 12))
    def mark(self, who: int, where: str, seq: int) -> None:
        room = self.rooms[where]
        outcome = record_marks([Mark(self.people[who].id, ConversationId(room.id), 0, seq)])
        assert outcome == ["done" if room.has(who) else "stranger"]
        if room.has(who):
            room.read[who] = max(room.read[who], min(seq, room.last))

    def _manages(self, who: int, room: Room) -> bool:
        return who == 0 and room.has(who)

    # --- what each may see -------------------------------------------------------------------------------------------

    def _sees(self, who: int, room: Room, said: Said) -> bool:
        if said.hidden and said.sender != who:
            return False
        if not room.direct and (who, said.sender) in self.blocked:
            return False
        return any(
            (room.shares or said.seq > (joined or 0)) and (left is None or said.seq <= left)
            for joined, left in room.intervals.get(who, [])
        )

    def _visible(self, who: int, room: Room, above: int = 0) -> list[int]:
        return [said.seq for said in room.said if said.seq > above and self._sees(who, room, said)]

    def _unread(self, who: int, room: Room) -> int:
        if room.direct and (who, 1 - who) in self.blocked:
            return 0
        unread = [said for said in room.said[room.read[who] :] if said.sender != who and not said.system]
        return sum(self._sees(who, room, said) for said in unread)

    @invariant()
    def history_is_what_each_may_see(self) -> None:
        for room in self.rooms.values():
            for who, person in enumerate(self.people):
                if room.has(who):
                    page = history.page(person.viewer, ConversationId(room.id), limit=100)[0]
                    assert [m.seq for m in page.messages] == self._visible(who, room)
                else:
                    with pytest.raises(NotAMember):
                        history.page(person.viewer, ConversationId(room.id), limit=100)

    @invariant()
    def lists_and_counts_are_exact(self) -> None:
        for who, person in enumerate(self.people):
            found = {int(c.id): c for c in queries.conversation_list(person.viewer).conversations}
            shut = {room.id for room in self.rooms.values() if room.direct and (who, 1 - who) in self.blocked}
            present = {room.id: room for room in self.rooms.values() if room.has(who)}
            assert found.keys() == present.keys() - shut
            for id_, chat in found.items():
                room = present[id_]
                visible = self._visible(who, room)
                assert chat.unread_count == self._unread(who, room)
                assert (chat.seq, chat.rev) == (room.last, room.rev)
                assert (chat.last_message.seq if chat.last_message else None) == (visible[-1] if visible else None)
            wanted = {str(id_): self._unread(who, room) for id_, room in present.items() if self._unread(who, room)}
            assert queries.unread(person.id) == sync.changes(person.viewer, {}).badges == wanted

    @rule(who=people, seq=st.integers(0, 12), limit=st.integers(1, 4))
    def a_sync_in_pages_brings_all_that_is_visible(self, who: int, seq: int, limit: int) -> None:
        """From any watermark that the chat has had, in pages of any size."""
        held = {
            room.id: Watermark(seq=min(seq, room.last), rev=room.rev) for room in self.rooms.values() if room.has(who)
        }
        wanted = {id_: self._visible(who, room, held[id_].seq) for id_, room in self._present(who)}
        got: dict[int, list[int]] = {id_: [] for id_ in held}
        for _ in range(100):
            answer = sync.changes(self.people[who].viewer, held, limit=limit)
            for chat in answer.chats:
                got[int(chat.chat_id)] += [m.seq for m in chat.messages]
                held[int(chat.chat_id)] = Watermark(seq=chat.seq, rev=chat.rev)
            if not answer.has_more:
                break
        # Where history is not shared, a client's watermark never lies below its member's start.
        assert got == {id_: self._due(who, id_, seqs) for id_, seqs in wanted.items()}
        assert {id_: (mark.seq, mark.rev) for id_, mark in held.items()} == {
            id_: (room.last, room.rev) for id_, room in self._present(who)
        }

    def _present(self, who: int) -> list[tuple[int, Room]]:
        return [(room.id, room) for room in self.rooms.values() if room.has(who)]

    def _due(self, who: int, id_: int, seqs: list[int]) -> list[int]:
        (room,) = [room for room in self.rooms.values() if room.id == id_]
        joined = room.intervals[who][-1][0] or 0
        return seqs if room.shares else [seq for seq in seqs if seq > joined]


@pytest.fixture
def quiet() -> Iterator[None]:
    """Nobody hears what is told, and limits are out of the way, for the whole of the machine."""
    before, usual = bus._hub, django_settings.LIMITS
    bus.attach(lambda event: None)
    django_settings.LIMITS = replace(usual, **GENEROUS)  # type: ignore[arg-type]
    yield
    bus.attach(before)
    django_settings.LIMITS = usual


@pytest.mark.slow
def test_visibility_matches_the_model_after_any_sequence(quiet: Any) -> None:
    run_state_machine_as_test(
        Talk,
        settings=examples(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
