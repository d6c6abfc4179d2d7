"""Whether a database was given the text of a file.

`sonas migrate` records a file as one statement; the Supabase CLI splits it and records each statement without what
stands between them. So nothing is split here: every recorded statement has to stand in the file, character for
character, where the one before it ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_BETWEEN = re.compile(r"[\s;]*")
_COMMENTS = re.compile(r"(?:[\s;]+|--[^\n]*|/\*.*?\*/)*", re.DOTALL)


def first_difference(text: str, statements: Iterable[str]) -> int | None:
    """The line of `text` at which the recorded statements begin to say something else; None when they say the same."""
    text = _plain(text)
    at = 0
    for statement in map(_plain, statements):
        wanted = statement.strip()
        if not wanted:
            continue
        start = _end(_BETWEEN, text, at)
        if not text.startswith(wanted, start):
            # Some versions of the Supabase CLI leave the comments between two statements out.
            after_comments = _end(_COMMENTS, text, at)
            if not text.startswith(wanted, after_comments):
                return _line(text, start + _common(text[start:], wanted))
            start = after_comments
        at = start + len(wanted)
    rest = _end(_COMMENTS, text, at)
    return None if rest == len(text) else _line(text, rest)


def _plain(text: str) -> str:
    """The text with the line ends of every system alike."""
    return text.replace("\r\n", "\n")


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _common(left: str, right: str) -> int:
    """How many characters both begin with."""
    for count, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return count
    return min(len(left), len(right))


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
