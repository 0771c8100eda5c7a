"""The checker reports every kind of fault: a hand-made history for each."""

from dataclasses import replace

import pytest

from bench.checker import ALWAYS, Facts, Span, StoredMessage, Verdict, check_history
from bench.history import FOREIGN, Kind, Row

CHAT = 7
ANN, BOB, EVE = 101, 102, 103
# Ann, Bob and Eve have one connection each, whose number is also the number of its client.
A, B, E = 1, 2, 3
TEXT = 4242


def joined(connection: int, user: int) -> list[Row]:
    return [
        Row(Kind.JOINED, 0, chat=CHAT, client=connection, other=user),
        Row(Kind.CONNECTED, 0, connection, client=connection, other=user),
    ]


def sent(number: int, connection: int = A, digest: int = TEXT) -> Row:
    return Row(Kind.SENT, number, connection, CHAT, client=number, other=number, digest=digest)


def acked(number: int, seq: int, connection: int = A, message: int = 0) -> Row:
    return Row(Kind.ACKED, number, connection, CHAT, seq, seq, number, message or 900 + number)


def delivered(number: int, seq: int, connection: int = B, kind: Kind = Kind.DELIVERED, digest: int = TEXT) -> Row:
    return Row(kind, number, connection, CHAT, seq, seq, number, ANN, digest)


def finished(*pairs: tuple[int, int]) -> list[Row]:
    return [Row(Kind.FINISHED, 99, connection, client=connection, other=user) for connection, user in pairs]


def stored(number: int, seq: int, sender: int = ANN, digest: int = TEXT) -> StoredMessage:
    return StoredMessage(CHAT, seq, seq, number, sender, 900 + number, digest)


START = [*joined(A, ANN), *joined(B, BOB)]
END = finished((A, ANN), (B, BOB))
THREE = [sent(1), acked(1, 1), sent(2), acked(2, 2), sent(3), acked(3, 3)]
FACTS = Facts([stored(1, 1), stored(2, 2), stored(3, 3)], {(CHAT, ANN): ALWAYS, (CHAT, BOB): ALWAYS})
OWN = delivered(3, 3, A, Kind.FETCHED)
LIVE = [delivered(1, 1), delivered(2, 2), delivered(3, 3)]


def check_rows(*rows: Row, facts: Facts = FACTS, start: list[Row] = START, end: list[Row] = END) -> Verdict:
    return check_history([*start, *rows, *end], facts)


def test_checker_finds_no_fault_in_an_ordered_run() -> None:
    verdict = check_rows(*THREE, *LIVE)
    assert verdict.faults() == {}
    assert (verdict.sent, verdict.acked, verdict.stored, verdict.delivered, verdict.by_sync) == (3, 3, 3, 3, 0)


def test_checker_reports_stored_message_without_ack_as_lost_unless_its_sender_fetched_it() -> None:
    assert check_rows(*THREE[:-1], *LIVE, OWN).faults() == {"unacked": 1}
    assert check_rows(*THREE[:-1], *LIVE).faults() == {"unacked": 1, "lost_deliveries": 1, "gaps": 1}


def test_checker_counts_refused_message_as_unacked() -> None:
    refused = Row(Kind.REFUSED, 9, A, CHAT, client=4)
    verdict = check_rows(*THREE, *LIVE, sent(4), refused)
    assert verdict.faults() == {"unacked": 1}
    assert verdict.refused == 1


def test_checker_accepts_messages_received_by_sync() -> None:
    verdict = check_rows(*THREE, delivered(1, 1), *(delivered(n, n, kind=Kind.FETCHED) for n in (2, 3)))
    assert verdict.faults() == {}
    assert verdict.by_sync == 2


def test_checker_accepts_a_message_both_live_and_by_sync() -> None:
    verdict = check_rows(*THREE, *LIVE, delivered(3, 3, kind=Kind.FETCHED))
    assert verdict.faults() == {}
    assert verdict.by_sync == 0


def test_checker_reads_histories_of_processes_in_any_order() -> None:
    assert check_history([*joined(B, BOB), *LIVE, *joined(A, ANN), *THREE, *END], FACTS).faults() == {}


def test_checker_reports_acked_but_unstored_message_as_lost() -> None:
    verdict = check_rows(*THREE, *LIVE[:2], facts=replace(FACTS, messages=FACTS.messages[:2]))
    assert verdict.faults() == {"lost_acks": 1}
    assert verdict.lost == 1


def test_checker_reports_undelivered_message_as_lost() -> None:
    verdict = check_rows(*THREE, LIVE[0], LIVE[2])
    assert verdict.faults() == {"lost_deliveries": 1, "gaps": 1}
    assert verdict.lost == 1


def test_checker_counts_consecutive_missing_messages_as_one_gap() -> None:
    assert check_rows(*THREE, LIVE[2]).faults() == {"lost_deliveries": 2, "gaps": 1}


def test_checker_reports_client_without_last_sync_as_unfinished() -> None:
    assert check_rows(*THREE, *LIVE, end=END[:1]).faults() == {"unfinished": 1}


def test_checker_expects_no_message_from_before_a_client_started() -> None:
    start = [*joined(A, ANN), Row(Kind.JOINED, 0, chat=CHAT, seq=2, rev=2, client=B, other=BOB), joined(B, BOB)[1]]
    assert check_rows(*THREE, LIVE[2], start=start).faults() == {}


def test_checker_reports_delivered_but_unstored_message_as_phantom() -> None:
    verdict = check_rows(*THREE, *LIVE, delivered(4, 4))
    assert verdict.faults()["phantom"] == 2  # not stored, and not sent


def test_checker_reports_stored_message_that_nobody_sent_as_phantom() -> None:
    facts = replace(FACTS, messages=[*FACTS.messages, stored(4, 4)])
    verdict = check_rows(*THREE, acked(4, 4), *LIVE, delivered(4, 4), facts=facts)
    assert set(verdict.faults()) == {"phantom"}


def test_checker_reports_delivery_under_a_wrong_seq_as_phantom() -> None:
    assert check_rows(*THREE, *LIVE[:2], delivered(1, 3)).faults() == {"phantom": 1}


def test_checker_reports_delivery_with_a_wrong_sender_as_phantom() -> None:
    assert check_rows(*THREE, *LIVE[:2], LIVE[2]._replace(other=EVE)).faults() == {"phantom": 1}


def test_checker_reports_message_stored_for_another_sender_as_phantom() -> None:
    facts = replace(FACTS, messages=[*FACTS.messages[:2], stored(3, 3, sender=BOB)])
    assert check_rows(*THREE, *LIVE[:2], LIVE[2]._replace(other=BOB), facts=facts).faults() == {"phantom": 1}


@pytest.mark.parametrize("place", ["stored", "delivered"])
def test_checker_reports_changed_text_as_altered(place: str) -> None:
    if place == "delivered":
        verdict = check_rows(*THREE, *LIVE[:2], LIVE[2]._replace(digest=1))
    else:
        facts = replace(FACTS, messages=[*FACTS.messages[:2], stored(3, 3, digest=1)])
        verdict = check_rows(*THREE, *LIVE[:2], LIVE[2]._replace(digest=1), facts=facts)
    assert verdict.faults() == {"altered": 1}


def test_checker_reports_client_id_stored_twice_as_duplicated() -> None:
    facts = replace(FACTS, messages=[*FACTS.messages, stored(3, 4)._replace(message=903)])
    verdict = check_rows(*THREE[:-1], *LIVE, delivered(3, 4), OWN, delivered(3, 4, A, Kind.FETCHED), facts=facts)
    assert verdict.faults() == {"unacked": 1, "duplicated": 1}


def test_checker_reports_second_delivery_to_a_connection_as_duplicated() -> None:
    assert check_rows(*THREE, *LIVE, LIVE[2]).faults() == {"duplicated": 1}
    assert check_rows(*THREE, *LIVE, LIVE[0]).faults() == {"duplicated": 1}


def test_checker_accepts_delivery_to_two_connections_of_a_user() -> None:
    start = [*START, *joined(E, BOB)]
    again = [row._replace(connection=E) for row in LIVE]
    assert check_rows(*THREE, *LIVE, *again, start=start, end=[*END, *finished((E, BOB))]).faults() == {}


def test_checker_reports_delivery_to_the_sending_connection_as_duplicated() -> None:
    assert check_rows(*THREE, *LIVE, delivered(2, 2, connection=A)).faults() == {"duplicated": 1}


def test_checker_reports_lower_seq_after_higher_as_out_of_order() -> None:
    assert check_rows(*THREE, LIVE[0], LIVE[2], LIVE[1]).faults() == {"out_of_order": 1}


def test_checker_reports_unordered_sync_answer_as_out_of_order() -> None:
    rows = [delivered(n, n, kind=Kind.FETCHED) for n in (1, 3, 2)]
    assert check_rows(*THREE, *rows).faults() == {"out_of_order": 1}


def test_checker_accepts_overlapping_sync_answers() -> None:
    rows = [delivered(n, n, kind=Kind.FETCHED) for n in (1, 2, 3)]
    synced = Row(Kind.SYNCED, 9, B, CHAT, 3, 3)
    assert check_rows(*THREE, *rows, synced, *rows[1:]).faults() == {}


def test_checker_reports_messages_stored_in_another_order_than_sent_as_out_of_order() -> None:
    facts = replace(FACTS, messages=[stored(2, 1), stored(1, 2), stored(3, 3)])
    rows = [sent(1), sent(2), sent(3), acked(2, 1), acked(1, 2), acked(3, 3)]
    assert check_rows(*rows, delivered(2, 1), delivered(1, 2), LIVE[2], facts=facts).faults() == {"out_of_order": 1}


def test_checker_reports_missing_stored_seq_as_gap() -> None:
    facts = replace(FACTS, messages=[stored(1, 1), stored(3, 3)])
    assert check_rows(*THREE[:2], sent(3), acked(3, 3), LIVE[0], LIVE[2], facts=facts).faults() == {"gaps": 1}


def test_checker_reports_delivery_to_a_non_member_as_leak() -> None:
    start, end = [*START, *joined(E, EVE)[1:]], [*END, *finished((E, EVE))]
    verdict = check_rows(*THREE, *LIVE, delivered(1, 1, connection=E), start=start, end=end)
    assert verdict.faults() == {"leaks": 1}


def test_checker_reports_delivery_to_a_former_member_as_leak() -> None:
    facts = replace(FACTS, members={(CHAT, ANN): ALWAYS, (CHAT, BOB): Span(1, 2)})
    assert check_rows(*THREE, *LIVE, facts=facts).faults() == {"leaks": 1}
    assert check_rows(*THREE, *LIVE[:2], facts=facts).faults() == {}


def test_checker_reports_ack_with_another_message_id_as_misacked() -> None:
    assert check_rows(sent(1), acked(1, 1), sent(2), acked(2, 2), sent(3), acked(3, 3, message=5), *LIVE).faults() == {
        "misacked": 1
    }


def test_checker_reports_differing_acks_of_one_message_as_misacked() -> None:
    again = Row(Kind.ACKED_AGAIN, 9, A, CHAT, 4, 4, 3, 903)
    assert check_rows(*THREE, again, *LIVE).faults() == {"misacked": 1}


def test_checker_counts_a_resent_message_once() -> None:
    again = [sent(3), Row(Kind.ACKED_AGAIN, 9, A, CHAT, 3, 3, 3, 903)]
    verdict = check_rows(*THREE, *again, *LIVE)
    assert verdict.faults() == {}
    assert (verdict.sent, verdict.acked, verdict.stored) == (3, 3, 3)


def test_checker_ignores_client_ids_of_other_runs() -> None:
    old = StoredMessage(CHAT, 4, 4, FOREIGN, ANN, 1, TEXT)
    verdict = check_rows(*THREE, *LIVE, delivered(FOREIGN, 4), facts=replace(FACTS, messages=[*FACTS.messages, old]),
                    end=[Row(Kind.FETCHED, 9, A, CHAT, 4, 4, FOREIGN, ANN, TEXT), *END])  # fmt: skip
    assert verdict.faults() == {}
    assert verdict.stored == 3
