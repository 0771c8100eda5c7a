"""Formatting: what the marks in a message's text mean, as ranges of the text as typed (F11).

Pure: knows no user, no table and no HTML. `static/format.js` says the same for the web page; both are tested on
`tests/fixtures/entities.json`.

An entity is `{type, offset, length, open, close, …}`. Offset and length count UTF-16 code units, because those index
strings in JavaScript, Java, Kotlin, Swift's NSString and C#, which clients are written in. They cover the marks too, of
which `open` units stand at its beginning and `close` at its end, for a client to leave out. Entities come in the order of
their offsets, outer ones first; any two are apart or one lies within the other.

| type | typed | more |
| --- | --- | --- |
| bold, italic, strike | `*a*` or `**a**`, `_a_`, `~a~` or `~~a~~`, within a line and on the borders of words | |
| code | one to three backticks around it, within a line | |
| codeBlock | lines of three backticks around it | language |
| quote | `> a`, one entity a line | |
| list | `- a`, `* a`, `• a`, `1. a`, `1) a`, one entity a line | number, where it is numbered |
| link | an address with http, https or mailto | url |
| mention | `@` and a given name, `@all`, `@here` | name; everyone, where it is true |
| emoji | `:name:` | name |

Linear: tokens are found by an expression that never goes back, each is read at most twice (an address may end earlier than
it seemed), of each kind of mark at most one is open, and the search for a code's end fails at most once a length.
"""

import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple, TypedDict

MOST_LENGTH = 100
SPACE = "\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
TOKEN = re.compile(
    rf"(?P<code>`+)|(?P<mark>\*+|_+|~+)|(?P<link>(?:https?://|mailto:)[^{SPACE}<>\"`]+)|(?P<mention>@)"
    r"|(?P<emoji>:(?:[+-]1|[a-z][a-z0-9_+-]{1,40}):)",
    re.IGNORECASE | re.ASCII,
)
# The tokens that decide whether `@all` or `@here` is a mention: marks do not, names are nobody's.
CALL = re.compile(r"@(?:all|here)", re.IGNORECASE | re.ASCII)
CALL_TOKEN = re.compile(
    TOKEN.pattern.replace(r"|(?P<mark>\*+|_+|~+)", "").replace("(?P<mention>@)", "(?P<mention>@)(?=all|here)"),
    re.IGNORECASE | re.ASCII,
)
BACKTICKS = re.compile(r"`+")
FENCE = re.compile(r"```([A-Za-z0-9+#._-]{0,30})[ \t\r]*")
QUOTE = re.compile(r">( |$)")
ITEM = re.compile(rf" {{0,8}}(?:[-*•]|([0-9]{{1,9}})[.)]) +(?=[^{SPACE}])")
BLANK = re.compile(rf"[{SPACE}]")
HOST = re.compile(r"https?://[^\W_]|mailto:[^@]+@[^\W_]", re.IGNORECASE)
# Characters at the end of an address that belong to the sentence or to a mark.
TRAILING = ".,;:!?'*_~"
PAIRS = {")": "(", "]": "[", "}": "{"}
MARKS = {"*": "bold", "**": "bold", "_": "italic", "~": "strike", "~~": "strike"}
EVERYONE = ("all", "here")
WORD = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Mn", "Mc"})
END = ""


class More(TypedDict, total=False):
    """Further fields of some entity types."""

    language: str
    number: int
    url: str
    name: str
    everyone: bool


class Entity(More):
    """A range of a text and what it is; `open` and `close` count the marks that are part of it."""

    type: str
    offset: int
    length: int
    open: int
    close: int


class Line(NamedTuple):
    """A line of the text, by places in it."""

    start: int
    end: int


class Range(NamedTuple):
    """An entity before its places are counted in UTF-16."""

    type: str
    start: int
    end: int
    open: int = 0
    close: int = 0
    more: More = {}


def parse(text: str, names: Iterable[str] = ()) -> list[Entity]:
    """Return a text's entities; `names` are the people who may be mentioned, each at most 100 characters."""
    known = _trie(names)
    units = list(accumulate((1 + (char > "\uffff") for char in text), initial=0))
    found = sorted(_blocks(text, known), key=lambda entity: (entity.start, -entity.end))
    return [_entity(range_, units) for range_ in found]


def _entity(found: Range, units: list[int]) -> Entity:
    start, end = units[found.start], units[found.end]
    return {
        "type": found.type,
        "offset": start,
        "length": end - start,
        "open": found.open,
        "close": found.close,
        **found.more,
    }


def mentions_everyone(text: str) -> bool:
    """Return whether a text mentions `@all` or `@here` outside of code (F23), as `parse` reads it.

    It looks at nothing but the lines with one of them, and there at nothing that cannot decide it: a tenth of the time of
    `parse` at the worst of texts.
    """
    parts = [text] if "```" in text else text.split("\n")
    ranges = (range_ for part in parts if CALL.search(part) for range_ in _blocks(part, {}, CALL_TOKEN))
    return any(range_.more.get("everyone") for range_ in ranges)


# --- lines ------------------------------------------------------------------------------------------------------------

Trie = dict[str, Any]


def _trie(names: Iterable[str]) -> Trie:
    root: Trie = {}
    for name in names:
        if 0 < len(name) <= MOST_LENGTH:
            node = root
            for char in name:
                node = node.setdefault(char, {})
            node[END] = True
    return root


def _lines(text: str) -> list[Line]:
    places = [place for place, char in enumerate(text) if char == "\n"]
    return [Line(start, end) for start, end in zip([0, *(p + 1 for p in places)], [*places, len(text)], strict=True)]


def _blocks(text: str, names: Trie, tokens: re.Pattern[str] = TOKEN) -> Iterator[Range]:
    lines = _lines(text)
    fences = [
        FENCE.fullmatch(text, line.start, line.end) if text.startswith("```", line.start) else None for line in lines
    ]
    closing = deque(at for at, fence in enumerate(fences) if fence and not fence[1])
    done = 0
    for at, (line, fence) in enumerate(zip(lines, fences, strict=True)):
        if at < done:
            continue
        while closing and closing[0] <= at:
            closing.popleft()
        if fence and closing:
            done = closing[0] + 1
            yield _code_block(line, lines[closing[0]], fence[1], empty=closing[0] == at + 1)
        elif line.start < line.end:
            yield from _line(text, line, names, tokens)


def _code_block(first: Line, last: Line, language: str, *, empty: bool) -> Range:
    """The line breaks beside the fences are part of the marks; without lines in between there is but one."""
    opened, closed = first.end - first.start + 1, last.end - last.start + (0 if empty else 1)
    return Range("codeBlock", first.start, last.end, opened, closed, {"language": language} if language else {})


def _line(text: str, line: Line, names: Trie, tokens: re.Pattern[str]) -> Iterator[Range]:
    start = line.start
    if quote := QUOTE.match(text, line.start, line.end):
        start = quote.end()
        yield Range("quote", line.start, line.end, start - line.start)
    elif item := ITEM.match(text, line.start, line.end):
        start = item.end()
        more: More = {"number": int(item[1])} if item[1] else {}
        yield Range("list", line.start, line.end, start - line.start, 0, more)
    yield from _inline(text, Line(start, line.end), names, tokens)


# --- within a line ----------------------------------------------------------------------------------------------------


class Opened(NamedTuple):
    """A mark that waits for its closing one."""

    mark: str
    start: int


def _inline(text: str, line: Line, names: Trie, tokens: re.Pattern[str]) -> Iterator[Range]:
    """Parse a line. Code, addresses and mentions are not parsed further."""
    opened: list[Opened] = []
    hopeless: set[int] = set()
    place = line.start
    while token := tokens.search(text, place, line.end):
        place = token.end()
        if token.lastgroup == "mark":
            entity = _marked(text, line, token, opened)
        elif token.lastgroup == "code":
            entity = _code(text, line, token, hopeless)
        else:
            entity = _whole(text, line, token, names)
        if entity:
            place = entity.end
            yield entity


def _whole(text: str, line: Line, token: re.Match[str], names: Trie) -> Range | None:
    if _word(_before(text, line, token.start())):
        return None
    if token.lastgroup == "link":
        return _link(token)
    if token.lastgroup == "mention":
        return _mention(text, line, token.start(), names)
    return Range("emoji", token.start(), token.end(), more={"name": token[0][1:-1].lower()})


def _code(text: str, line: Line, token: re.Match[str], hopeless: set[int]) -> Range | None:
    """Code ends at the next run of as many backticks; `hopeless` are the lengths of which no more will come."""
    size = len(token[0])
    if size > 3 or size in hopeless:
        return None
    for later in BACKTICKS.finditer(text, token.end(), line.end):
        if len(later[0]) == size:
            return Range("code", token.start(), later.end(), size, size)
    hopeless.add(size)
    return None


def _marked(text: str, line: Line, token: re.Match[str], opened: list[Opened]) -> Range | None:
    """Close the mark that this one ends, and forget those opened within; or open it. Each is open at most once."""
    mark, before, after = token[0], _before(text, line, token.start()), _after(text, line, token.end())
    if mark not in MARKS:
        return None
    place = next((place for place, other in enumerate(opened) if other.mark == mark), None)
    if place is not None and before and not BLANK.match(before) and not _word(after):
        start = opened[place].start
        del opened[place:]
        return Range(MARKS[mark], start, token.end(), len(mark), len(mark))
    if after and not BLANK.match(after) and not _word(before):
        if place is not None:
            del opened[place]
        opened.append(Opened(mark, token.start()))
    return None


def _link(token: re.Match[str]) -> Range | None:
    """An address ends before the marks and punctuation that follow it, but keeps brackets that it opened itself."""
    address = token[0]
    counts = {char: address.count(char) for char in "()[]{}"}
    end = len(address)
    while end:
        last = address[end - 1]
        if last in PAIRS and counts[last] > counts[PAIRS[last]]:
            counts[last] -= 1
        elif last not in TRAILING:
            break
        end -= 1
    if not HOST.match(address[:end]):
        return None
    return Range("link", token.start(), token.start() + end, more={"url": address[:end]})


def _mention(text: str, line: Line, start: int, names: Trie) -> Range | None:
    """The longest name that stands whole behind the `@`."""
    for name in EVERYONE:
        end = start + 1 + len(name)
        if text[start + 1 : end].lower() == name and end <= line.end and not _word(_after(text, line, end)):
            return Range("mention", start, end, more={"name": name, "everyone": True})
    node, longest = names, 0
    for place in range(start + 1, line.end):
        if text[place] not in node:
            break
        node = node[text[place]]
        if END in node and not _word(_after(text, line, place + 1)):
            longest = place + 1
    return Range("mention", start, longest, more={"name": text[start + 1 : longest]}) if longest else None


def _before(text: str, line: Line, place: int) -> str:
    return text[place - 1] if place > line.start else ""


def _after(text: str, line: Line, place: int) -> str:
    return text[place] if place < line.end else ""


def _word(char: str) -> bool:
    """Whether a character belongs to a word: letters, numbers and their marks, but no variation selector of an emoji."""
    return bool(char) and unicodedata.category(char) in WORD and not "\ufe00" <= char <= "\ufe0f"
