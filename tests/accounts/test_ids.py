"""Ids: created by the database in order of time, typed, and read from the wire."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from accounts import devices, ids
from accounts.models import User
from gateway.errors import NotFound
from gateway.ids import DeviceId, UserId
from tests.accounts.conftest import Somebody


def _make(count: int) -> list[int]:
    with connection.cursor() as sql:
        sql.execute("SELECT new_id() FROM generate_series(1, %s)", [count])
        made = [row[0] for row in sql.fetchall()]
    connection.close()
    return made


def test_ids_from_concurrent_connections_are_unique() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = [number for batch in pool.map(_make, [20_000] * 4) for number in batch]
    assert len(set(made)) == 80_000


def test_id_contains_its_creation_time() -> None:
    with connection.cursor() as sql:
        sql.execute("SELECT clock_timestamp(), new_id(), clock_timestamp()")
        before, number, after = sql.fetchone()
    created_at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number >> 23)
    assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= created_at <= after


def test_id_contains_the_shard_of_its_connection() -> None:
    with connection.cursor() as sql:
        sql.execute("SELECT set_config('parley.shard', '1023', false)")
        sql.execute("SELECT (new_id() >> 13) & 1023")
        shard = sql.fetchone()[0]
        sql.execute("RESET parley.shard")
    assert shard == 1023


def test_model_gets_its_database_id_on_insert() -> None:
    user = User(display_name="Row", name_key="row", email=None, phone="+4915123456789")
    User.objects.filter(phone=user.phone).delete()
    user.save(force_insert=True)
    assert User.objects.get(phone=user.phone).pk == user.pk > 2**50


@pytest.mark.parametrize("text", ["", "0x10", "-1", "1.5", "٣", "9" * 19, "9" * 5000, "1\0", "\ud800", "null"])
def test_text_that_is_no_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        ids.from_wire(text, UserId)


def test_id_is_returned_as_the_requested_type() -> None:
    user_id: UserId = ids.from_wire("7", UserId)
    device_id: DeviceId = ids.from_wire("7", DeviceId)

    assert (user_id, device_id, ids.from_wire("7", UserId)) == (7, 7, 7)


def test_swapped_ids_are_refused_by_mypy_and_not_found(somebody: Callable[..., Somebody]) -> None:
    """mypy reports an unused `type: ignore` if it accepts the swap."""
    who = somebody()

    with pytest.raises(NotFound):
        devices.revoke(who.device_id, who.id)  # type: ignore[arg-type]


def test_largest_id_is_accepted() -> None:
    assert ids.from_wire(str(2**63 - 1), UserId) == 2**63 - 1
