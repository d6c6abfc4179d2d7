"""One small fault."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`text` replaces a statement (SQL, by `name`) or a file (Python, at `name`)."""

    kind: str
    name: str
    file: str
    line: int
    was: str
    is_now: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.kind}: `{self.was}` → `{self.is_now}`"
