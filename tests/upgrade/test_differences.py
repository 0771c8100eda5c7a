"""The comparison of `script/upgrade-check` reports what an upgrade may not do, and is silent about what differs by nature."""

from copy import deepcopy
from typing import Any

import pytest

from tests.upgrade.differences import MISSING, NORMAL, Normal, differences
from tests.upgrade.reads import plan, routes

HISTORY = "ada GET /conversations/7/messages?limit=500"
DEVICES = "ada GET /auth/devices"


def before() -> dict[str, Any]:
    messages = [{"id": str(seq), "seq": seq, "content": f"Message {seq}", "mentions": []} for seq in range(1, 101)]
    link = "/api/v1/attachments/5/content?kind=file&until=1&signature=a"
    return {
        HISTORY: {"status": 200, "body": {"results": messages, "hasMore": False}},
        DEVICES: {"status": 200, "body": {"results": [{"id": "4", "name": "phone", "lastSeenAt": "then"}]}},
        "ada GET /attachments/5": {"status": 200, "body": {"id": "5", "url": link, "thumbnailUrl": None}},
    }


def after() -> Any:
    return deepcopy(before())


def changed_paths(changed: dict[str, Any]) -> list[tuple[str, str]]:
    return [(difference.read, difference.path) for difference in differences(before(), changed)]


def test_equal_snapshots_have_no_difference() -> None:
    assert differences(before(), after()) == []


@pytest.mark.parametrize("value", ["Other words", None, "", 41, True])
def test_a_changed_value_is_reported_with_its_path(value: Any) -> None:
    changed = after()
    changed[HISTORY]["body"]["results"][40]["content"] = value

    (difference,) = differences(before(), changed)

    assert difference == (HISTORY, ".body.results[40].content", "Message 41", value)


@pytest.mark.parametrize("value", [1.0, True, "1"])
def test_a_value_of_another_type_is_reported(value: Any) -> None:
    changed = after()
    changed[HISTORY]["body"]["results"][0]["seq"] = value

    assert changed_paths(changed) == [(HISTORY, ".body.results[0].seq")]


@pytest.mark.parametrize("place", [0, 40, 99])
def test_a_lost_message_is_the_only_difference_of_its_list(place: int) -> None:
    changed = after()
    lost = changed[HISTORY]["body"]["results"].pop(place)

    (difference,) = differences(before(), changed)

    assert difference == (HISTORY, f".body.results[{place}]", lost, MISSING)


def test_a_message_twice_and_messages_in_another_order_are_reported() -> None:
    twice, turned = after(), after()
    twice[HISTORY]["body"]["results"].insert(1, twice[HISTORY]["body"]["results"][0])
    turned[HISTORY]["body"]["results"][3:5] = reversed(turned[HISTORY]["body"]["results"][3:5])

    assert changed_paths(twice) and changed_paths(turned)


def test_a_page_that_has_moved_on_by_one_is_two_differences() -> None:
    changed = after()
    results = changed[HISTORY]["body"]["results"]
    results.append({"id": "101", "seq": 101, "content": "Message 101", "mentions": []})
    del results[0]

    assert changed_paths(changed) == [(HISTORY, ".body.results[0]"), (HISTORY, ".body.results[99]")]


def test_a_lost_message_hides_no_change_of_another_one() -> None:
    changed = after()
    del changed[HISTORY]["body"]["results"][10]
    changed[HISTORY]["body"]["results"][80]["mentions"] = ["3"]

    assert changed_paths(changed) == [(HISTORY, ".body.results[10]"), (HISTORY, ".body.results[81].mentions[0]")]


def test_a_field_that_is_gone_and_one_that_is_new_are_reported() -> None:
    changed = after()
    changed[HISTORY]["body"]["results"][0]["threadId"] = None
    del changed[HISTORY]["body"]["hasMore"]

    assert changed_paths(changed) == [(HISTORY, ".body.results[0].threadId"), (HISTORY, ".body.hasMore")]


def test_a_refused_and_a_missing_read_are_reported() -> None:
    changed = after()
    changed[HISTORY]["status"] = 403
    del changed[DEVICES]

    assert changed_paths(changed) == [(HISTORY, ".status"), (DEVICES, "")]


def test_what_differs_by_nature_is_no_difference() -> None:
    changed = after()
    changed[DEVICES]["body"]["results"][0]["lastSeenAt"] = "now"
    changed["ada GET /attachments/5"]["body"]["url"] = "/api/v1/attachments/5/content?kind=file&until=2&signature=b"

    assert changed_paths(changed) == []


def test_a_link_to_another_file_and_a_missing_time_are_differences() -> None:
    changed = after()
    changed[DEVICES]["body"]["results"][0]["lastSeenAt"] = None
    changed["ada GET /attachments/5"]["body"]["url"] = "/api/v1/attachments/6/content?kind=file&until=1&signature=a"

    assert len(changed_paths(changed)) == 2


def test_a_row_of_one_route_leaves_the_same_field_of_another_alone() -> None:
    changed = after()
    changed[HISTORY]["body"]["results"][0]["lastSeenAt"] = "now"

    assert changed_paths(changed) == [(HISTORY, ".body.results[0].lastSeenAt")]


@pytest.mark.parametrize("row", NORMAL, ids=lambda row: row.path)
def test_each_exception_has_its_reason(row: Normal) -> None:
    assert row.reason


def test_a_route_is_known_by_its_shape_whatever_its_parameters_are_called() -> None:
    older: dict[str, Any] = {"paths": {"/api/v1/messages/{message_id}": {"get": {}, "delete": {}, "parameters": []}}}
    newer: dict[str, Any] = {"paths": {"/api/v1/messages/{id}": {"get": {}}}}

    assert routes(older) - routes(newer) == {"DELETE /api/v1/messages/{}"}


def test_a_parameter_whose_ids_nothing_lists_stops_the_check() -> None:
    with pytest.raises(KeyError, match="gate_id"):
        plan({}, {"paths": {"/api/v1/gates/{gate_id}": {"get": {}}}})
