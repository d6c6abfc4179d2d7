"""Which tests are run on a fault, and in which order."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from mutation.mutant import Mutant

# Tests of about the same length are run module by module: each module makes a database.
STEPS = (0.1, 0.5, 2.0)
ANYWHERE = ""
PRIVILEGES = "tests/database/test_privileges.py"


@dataclass(frozen=True, slots=True)
class Test:
    """A test, its length, and the SQL functions that it calls."""

    name: str
    seconds: float
    calls: frozenset[str]

    @property
    def module(self) -> str:
        return self.name.split("::")[0]


@dataclass(slots=True)
class Near:
    """All tests, and which of them caught what so far."""

    tests: dict[str, Test]
    most: int | None = None
    caught: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    @classmethod
    def read(cls, file: Path, most: int | None = None) -> Near:
        known = json.loads(file.read_text())
        return cls({name: Test(name, t["seconds"], frozenset(t["calls"])) for name, t in known.items()}, most)

    def order(self, mutant: Mutant) -> list[str]:
        """What caught faults in the function or elsewhere before, then the tests that call it, then all others.

        All others, since Postgres does not count a call that ends in an error. With `most` no more than that many.
        """
        if mutant.kind == "drop a revoke":
            return [name for name, test in self.tests.items() if test.module == PRIVILEGES]
        chosen = {n: t for n, t in self.tests.items() if mutant.is_sql or t.module.startswith("tests/client/")}
        good = [*self.caught[mutant.name].most_common(4), *self.caught[ANYWHERE].most_common(6)]
        first = list(dict.fromkeys(name for name, _ in good if name in chosen))
        rest = sorted(
            (test for name, test in chosen.items() if name not in first),
            key=lambda test: (mutant.name not in test.calls, *self._place(test)),
        )
        return (first + [test.name for test in rest])[: self.most]

    def _place(self, test: Test) -> tuple[int, str, float]:
        return sum(test.seconds > step for step in STEPS), test.module, test.seconds

    def learn(self, mutant: Mutant, by: str) -> None:
        if by not in self.tests:
            return
        for place in (mutant.name, ANYWHERE):
            self.caught[place][by] += 1
