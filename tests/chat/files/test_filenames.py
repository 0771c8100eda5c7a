"""Names of files that people are shown."""

import pytest

from chat.files.filenames import LONGEST, cleaned


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("Ünï çödé 日本.txt", "Ünï çödé 日本.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\a.txt", "a.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("\u2066a\u2069\u200b\ufeff.txt", "a.txt"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie: x.txt"),
        ("a\0b.txt", "ab.txt"),
        ("  . ", "file"),
        ("", "file"),
        ("..", "file"),
        ("folder/", "file"),
        (".hidden", "hidden"),
        ("a \ud800.txt", "a .txt"),
    ],
    ids=repr,
)
def test_file_name_cleaning_keeps_words_and_removes_deceptive_characters(given: str, kept: str) -> None:
    assert cleaned(given) == kept


def test_long_name_keeps_its_suffix() -> None:
    assert cleaned("x" * 999 + ".tar") == "x" * (LONGEST - 4) + ".tar"
    assert len(cleaned("x." + "y" * 999)) == LONGEST
