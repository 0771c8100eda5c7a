"""Names of files as people may be shown them: no path, nothing invisible, nothing that turns the direction of writing."""

import unicodedata

LONGEST = 200
LONGEST_SUFFIX = 20
# Control and format characters (bidi overrides, joiners), lone surrogates, private and unassigned ones.
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def cleaned(name: str) -> str:
    """Return a name of 1 to 200 characters; a longer name loses its middle and keeps its suffix."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    seen = "".join(char for char in last if unicodedata.category(char) not in HIDDEN)
    kept = " ".join(seen.split()).strip(". ") or "file"
    if len(kept) <= LONGEST:
        return kept
    stem, dot, suffix = kept.rpartition(".")
    if not stem or len(suffix) > LONGEST_SUFFIX:
        return kept[:LONGEST]
    return stem[: LONGEST - len(suffix) - 1] + dot + suffix
