"""Faults in the bodies of SQL functions, and in who may call them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mutation.mutant import Mutant, told_apart

SCHEMAS = Path(__file__).resolve().parents[1] / "supabase" / "schemas"

# From the ledger's own tables to the functions that read and write them. The preflight, the checks of a host's project
# and the metrics have suites of their own.
CORE = ("accounts", "ledger", "spending", "holds", "calendar", "metering")

FUNCTION = re.compile(r"^create function (?P<name>[\w.]+)\(.*?^\$\$;$", re.MULTILINE | re.DOTALL)
REVOKE = re.compile(r"^revoke all on function (?P<name>[\w.]+)(?P<arguments>\([^;]*?\))\s+from [^;]*;$", re.MULTILINE)

KINDS: dict[str, list[tuple[str, str]]] = {
    "drop a lock": [(r"\s+for (?:no key update|update|key share|share)\b", "")],
    "drop a guard": [(r"perform credits\.raise_error\((?:[^;']|'[^']*')*\);", "null;")],
    "flip a comparison": [
        (r"(?<= )<(?= )", "<="),
        (r"(?<= )<=(?= )", "<"),
        (r"(?<= )>(?= )", ">="),
        (r"(?<= )>=(?= )", ">"),
        (r"(?<= )<>(?= )", "="),
    ],
    "swap a sign": [(r"(?<= )\+(?= )", "-"), (r"(?<=\w )-(?= \w)", "+")],
    "swap least and greatest": [(r"\bleast\(", "greatest("), (r"\bgreatest\(", "least(")],
    "swap an order": [(r"\bg\.priority, g\.expires_at\b", "g.expires_at, g.priority"), (r" desc\b", "")],
    "drop a condition": [(r"(?<=\S)\s+and (?:not )?[\w.]+ (?:=|<>|<=?|>=?|is(?: not)?) [\w.']+(?=[\s;)])", "")],
    "negate an if": [(r"\bif (?!not found|exists)([^;]+?) then", r"if not (\1) then")],
}


def mutants() -> Iterator[Mutant]:
    """All that the kinds above find, in the order of the files."""
    return told_apart(_found())


def _found() -> Iterator[Mutant]:
    for path in (path for chapter in CORE for path in sorted((SCHEMAS / chapter).glob("*.sql"))):
        text = path.read_text()
        for function in FUNCTION.finditer(text):
            yield from _in_body(path, text, function)
        for revoke in REVOKE.finditer(text):
            line = text.count("\n", 0, revoke.start()) + 1
            grant = f"grant execute on function {revoke['name']}{revoke['arguments']} to public;"
            yield Mutant("drop a revoke", revoke["name"], path.name, line, "revoke", "grant to public", grant)


def _in_body(path: Path, text: str, function: re.Match[str]) -> Iterator[Mutant]:
    source = function[0]
    start = source.index("$$")
    for kind, rules in KINDS.items():
        for pattern, replacement in rules:
            for found in re.compile(pattern).finditer(source, start):
                if source.rfind("--", 0, found.start()) > source.rfind("\n", 0, found.start()):
                    continue
                instead = found.expand(replacement)
                mutated = source[: found.start()] + instead + source[found.end() :]
                yield Mutant(
                    kind,
                    function["name"],
                    path.name,
                    text.count("\n", 0, function.start() + found.start()) + 1,
                    " ".join(found[0].split()),
                    " ".join(instead.split()) or "nothing",
                    mutated.replace("create function", "create or replace function", 1),
                )
