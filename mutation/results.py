"""What became of each fault, a line each, so that a run can be cut short and taken up again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mutation.mutant import Mutant


@dataclass(frozen=True, slots=True)
class Result:
    """`outcome` is caught, survived or stillborn; `by` is the test that went red, and `why` what it said."""

    mutant: str
    kind: str
    outcome: str
    seconds: float
    by: str = ""
    why: str = ""


class Results:
    """A file of results. The last line about a fault counts."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.known: dict[str, Result] = {}
        if file.exists():
            for line in file.read_text().splitlines():
                result = Result(**json.loads(line))
                self.known[result.mutant] = result

    def add(self, result: Result) -> None:
        self.known[result.mutant] = result
        with self.file.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")

    def missing(self, mutants: Iterable[Mutant], *, again: str | None) -> list[Mutant]:
        """Those without a result, and those whose result is `again`."""
        return [m for m in mutants if str(m) not in self.known or self.known[str(m)].outcome == again]

    def red_on(self, mutant: Mutant) -> str:
        """The test that caught it, if one did."""
        known = self.known.get(str(mutant))
        return known.by if known else ""

    def counts(self, mutants: Iterable[Mutant]) -> dict[str, Counter[str]]:
        """The outcomes by kind of fault."""
        by_kind: dict[str, Counter[str]] = {}
        for mutant in mutants:
            if str(mutant) in self.known:
                by_kind.setdefault(mutant.kind, Counter())[self.known[str(mutant)].outcome] += 1
        return by_kind
