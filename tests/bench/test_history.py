"""A history is read as it was written, and message numbers are encoded as UUIDs."""

import uuid
from pathlib import Path

from bench.history import FOREIGN, ClientIds, Kind, Row, Writer, digest, message_numbers, read_rows, write_rows


def test_history_rows_are_read_in_the_order_of_files_and_rows(tmp_path: Path) -> None:
    first = [Row(Kind.SENT, 1, 2, 3, 4, 5, 6, 7, 8), Row(Kind.ACKED, 2**62, other=-1)]
    write_rows(tmp_path / "1", first)
    write_rows(tmp_path / "2", first[1:])
    assert list(read_rows([tmp_path / "1", tmp_path / "2"])) == [*first, first[1]]


def test_second_flush_appends_to_the_file(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "h")
    for at in (1, 2):
        writer.add(Row(Kind.SYNCED, at))
        writer.flush()
    assert [row.at for row in read_rows([tmp_path / "h"])] == [1, 2]


def test_message_number_is_encoded_as_a_uuid() -> None:
    ids = ClientIds.for_new_run()
    for number in (1, 2**48 - 1, *(next(message_numbers(process)) for process in (0, 1, 4095))):
        assert uuid.UUID(ids.text(number)).version == 4
        assert str(uuid.UUID(ids.text(number))) == ids.text(number)
        assert ids.number(ids.text(number)) == number


def test_uuid_of_another_run_is_foreign() -> None:
    assert ClientIds.for_new_run().number(ClientIds.for_new_run().text(1)) == FOREIGN


def test_changed_text_has_another_digest() -> None:
    assert digest("Zürich \ud800") != digest("Zurich")
