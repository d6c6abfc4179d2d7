"""A function as what it does, in order: each write, call and read with the conditions that hold when it is reached.

Variables are replaced by what they stand for as the body is walked, so that `v_new := v_old - p_amount` and
`set credits = v_new` say the same as one statement. Where two branches meet, a variable is `either` of two.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pgparse

from ._catalog import Catalog, Routine
from ._event import Code
from ._plpgsql import Plpgsql
from ._tree import (
    NotReadable,
    statements,
)


def read_code(routine: Routine, catalog: Catalog, known: Callable[[Routine], Code | None]) -> Code:
    """What this function does. `known` answers the same of a function that it calls."""
    reader = Reader(routine, catalog, known)
    try:
        reader.run()
    except (NotReadable, pgparse.PGQueryError, ValueError, RecursionError, KeyError, IndexError):
        reader.code.readable = False
    return reader.code


class Reader(Plpgsql):
    """Reads one function."""

    def run(self) -> None:
        if self.routine.language == "plpgsql":
            self._run_plpgsql()
            return
        text = self.routine.text.strip()
        if self.routine.is_standard:
            text = re.sub(r"^BEGIN ATOMIC\s+(.*?)\s*END$", r"\1", text, flags=re.DOTALL | re.IGNORECASE)
            text = re.sub(r"^RETURN\s+", "select ", text, flags=re.IGNORECASE)
        body = statements(text)
        for nth, one in enumerate(body):
            value = self.statement(one, ())
            if nth == len(body) - 1 and value is not None:
                self.code.results.append(value)
