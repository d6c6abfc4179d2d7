"""One small fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Mutant:
    """`text` replaces a statement (SQL, by `name`) or a file (Python, at `name`).

    `nth` tells apart what looks the same on one line.
    """

    kind: str
    name: str
    file: str
    line: int
    was: str
    is_now: str
    text: str
    nth: int = 1

    @property
    def is_sql(self) -> bool:
        return self.file.endswith(".sql")

    def __str__(self) -> str:
        nth = f" ({self.nth})" if self.nth > 1 else ""
        return f"{self.file}:{self.line} {self.kind}: `{self.was}` → `{self.is_now}`{nth}"


def told_apart(mutants: Iterable[Mutant]) -> Iterator[Mutant]:
    """Counts those that look the same."""
    seen: Counter[str] = Counter()
    for mutant in mutants:
        seen[str(mutant)] += 1
        yield replace(mutant, nth=seen[str(mutant)])
