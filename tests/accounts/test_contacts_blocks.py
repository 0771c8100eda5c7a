"""Contacts and blocks: rules, privacy and concurrency."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts import access, blocks, contacts, queries
from accounts.models import Block, Contact
from gateway.errors import Forbidden, InvalidPayload, NotFound
from gateway.ids import UserId
from tests.accounts.conftest import Somebody

Make = Callable[..., Somebody]
NOBODY = UserId(2**62)


def test_contact_is_mutual_once_both_users_added_each_other(somebody: Make) -> None:
    ada, bob = somebody("Ada"), somebody("Bob")
    contacts.add(ada.id, bob.id)
    before = queries.list_contacts(ada.id, cursor=None, limit=10).results
    contacts.add(bob.id, ada.id)
    after = queries.list_contacts(ada.id, cursor=None, limit=10).results
    assert [(row.id, row.display_name, row.mutual) for row in before + after] == [
        (bob.id, "Bob", False),
        (bob.id, "Bob", True),
    ]


def test_adding_a_contact_twice_is_allowed_and_removing_it_twice_is_refused(somebody: Make) -> None:
    ada, bob = somebody(), somebody()
    contacts.add(ada.id, bob.id)
    contacts.add(ada.id, bob.id)
    contacts.remove(ada.id, bob.id)
    with pytest.raises(NotFound):
        contacts.remove(ada.id, bob.id)


def test_block_removes_both_users_from_each_others_contacts(somebody: Make) -> None:
    ada, bob, eve = somebody(), somebody(), somebody()
    contacts.add(ada.id, bob.id)
    contacts.add(bob.id, ada.id)
    contacts.add(bob.id, eve.id)
    blocks.block(ada.id, bob.id)
    assert not Contact.objects.filter(user_id=ada.id).exists()
    assert [row.id for row in queries.list_contacts(bob.id, cursor=None, limit=10).results] == [eve.id]
    assert blocks.blockers_among(bob.id, [ada.id, eve.id]) == {ada.id}
    assert blocks.blockers_among(ada.id, [bob.id, eve.id]) == set()


def test_blocked_user_cannot_be_added_as_contact_until_unblocked(somebody: Make) -> None:
    ada, bob = somebody(), somebody()
    blocks.block(ada.id, bob.id)
    with pytest.raises(Forbidden):
        contacts.add(ada.id, bob.id)
    blocks.unblock(ada.id, bob.id)
    contacts.add(ada.id, bob.id)
    with pytest.raises(NotFound):
        blocks.unblock(ada.id, bob.id)


def test_concurrent_block_and_contact_never_leave_both(somebody: Make) -> None:
    ada = somebody()
    for bob in [somebody() for _ in range(10)]:
        start = threading.Barrier(2)

        def at_once(use_case: Callable[[int, int], None], other: int = bob.id, gate: threading.Barrier = start) -> None:
            gate.wait()
            try:
                use_case(ada.id, other)
            except contacts.BlockedByYou:
                pass
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(at_once, (contacts.add, blocks.block)))
        assert Block.objects.filter(blocker_id=ada.id, blocked_id=bob.id).exists()
        assert not Contact.objects.filter(user_id=ada.id, contact_id=bob.id).exists()


def test_blocked_user_cannot_tell_the_blocker_from_a_missing_user(somebody: Make) -> None:
    ada, bob = somebody("Ada"), somebody("Bob")
    blocks.block(ada.id, bob.id)
    for missing in (ada.id, NOBODY):
        with pytest.raises(NotFound) as refusal:
            access.get_person(bob.id, missing)
        assert refusal.value.message == NotFound().message
        with pytest.raises(NotFound):
            contacts.add(bob.id, missing)
    assert access.get_person(ada.id, bob.id).display_name == "Bob"


def test_blocker_can_be_blocked_too(somebody: Make) -> None:
    ada, bob = somebody(), somebody()
    blocks.block(ada.id, bob.id)
    blocks.block(bob.id, ada.id)
    assert [row.id for row in queries.list_blocks(bob.id, cursor=None, limit=10).results] == [ada.id]


@pytest.mark.parametrize("use_case", [contacts.add, blocks.block])
def test_own_id_and_missing_user_are_refused(somebody: Make, use_case: Callable[[int, int], None]) -> None:
    ada = somebody()
    with pytest.raises(InvalidPayload):
        use_case(ada.id, ada.id)
    with pytest.raises(NotFound):
        use_case(ada.id, NOBODY)
