"""Faults in the bodies of SQL functions, and in who may call them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Set
from pathlib import Path

from mutation.mutant import Mutant, told_apart

SCHEMAS = Path(__file__).resolve().parents[1] / "supabase" / "schemas"

# From the ledger's own tables to the functions that read and write them, and what is sold and shared. The preflight,
# the checks of a host's project and the metrics have suites of their own.
CORE = (
    *("accounts", "ledger", "plans", "spending", "holds", "calendar", "metering"),
    *("billing", "prices", "workspaces", "budgets"),
)

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


def mutants(since: str | None = None) -> Iterator[Mutant]:
    """All that the kinds above find, in the order of the files; of what is as in the commit `since`, none."""
    return told_apart(_found(_statements(since) if since else frozenset()))


def _statements(commit: str) -> Set[str]:
    """The functions and the revokes of all SQL sources in a commit."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=SCHEMAS, capture_output=True, text=True, check=True).stdout

    files = [
        name
        for name in git("ls-tree", "-r", "--full-tree", "--name-only", commit).splitlines()
        if name.endswith(".sql")
    ]
    texts = [git("show", f"{commit}:{name}") for name in files]
    return {found[0] for text in texts for kind in (FUNCTION, REVOKE) for found in kind.finditer(text)}


def _found(known: Set[str]) -> Iterator[Mutant]:
    for path in (path for chapter in CORE for path in sorted((SCHEMAS / chapter).glob("*.sql"))):
        text = path.read_text()
        for function in FUNCTION.finditer(text):
            if function[0] not in known:
                yield from _in_body(path, text, function)
        for revoke in REVOKE.finditer(text):
            if revoke[0] in known:
                continue
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
