"""Reads the description that stands above each public function in `supabase/schemas/<chapter>/<name>.sql`.

    -- edge: result=Answer callers=service_role keyed denies
    --   Spends credits, all or nothing.
    create function public.consume_credits(

The first line (or two, each with `edge:`) says what the catalog cannot say; the lines below it are the docstring of
the client's method (without them it is the comment in the catalog).

    result=Model            the dataclass in sonas_supabase/models that the answer is read into; Model.field for a part,
                            bool for yes or no
    callers=role,role       the API roles that may call it; the grants below the function must say the same
    keyed                   it takes an idempotency key: the client makes one where the caller gives none
    repeatable              a second call changes nothing more, so a lost one is sent again
    repeatable-without=a    the same, as long as argument a is left out
    denies                  running out is one of its answers
    slow                    it goes over everything: the client waits longer where the caller does not say how long
    required=a,b            arguments that the client asks for, although SQL has a default for signed-in users
    reads=a:reader          a jsonb argument that sonas_supabase/_arguments.py reads by a function of its own
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

FLAGS = {"keyed", "repeatable", "denies", "slow"}
OPTIONS = {"result", "callers", "repeatable-without", "required", "reads"}
ROLES = {"anon", "authenticated", "service_role"}
FORM = "-- edge: result=<Model> callers=service_role [keyed] [repeatable] [denies]"

_CREATES = re.compile(r"^create (?:or replace )?function public\.(\w+)\s*\(", re.MULTILINE)


@dataclass(frozen=True)
class Description:
    """What is said beside one public function."""

    name: str
    chapter: str
    path: Path
    result: str
    callers: tuple[str, ...]
    keyed: bool = False
    repeatable: bool = False
    denies: bool = False
    slow: bool = False
    repeatable_without: str = ""
    required: tuple[str, ...] = ()
    reads: dict[str, str] = field(default_factory=dict)
    doc: str = ""

    @property
    def for_users(self) -> bool:
        """Whether signed-in users may call it."""
        return "authenticated" in self.callers

    @property
    def line(self) -> str:
        """The description again, in one line; two descriptions that mean the same have the same line."""
        parts = [f"result={self.result}", f"callers={','.join(self.callers)}"]
        parts += [flag for flag in ("keyed", "repeatable", "denies", "slow") if getattr(self, flag)]
        parts += [f"repeatable-without={self.repeatable_without}"] if self.repeatable_without else []
        parts += [f"required={','.join(self.required)}"] if self.required else []
        parts += [f"reads={','.join(f'{a}:{r}' for a, r in self.reads.items())}"] if self.reads else []
        return " ".join(parts)


def read_descriptions(root: Path) -> tuple[dict[str, Description], list[str]]:
    """The descriptions by function, and what is wrong with them, a sentence each."""
    found: dict[str, Description] = {}
    problems: list[str] = []
    for path in sorted((root / "supabase" / "schemas").glob("*/*.sql")):
        text = path.read_text("utf-8")
        for match in _CREATES.finditer(text):
            name, where = match.group(1), path.relative_to(root).as_posix()
            block = _comment_above(text, match.start())
            if not block or not block[0].startswith("-- edge:"):
                problems.append(
                    f"{where}: public.{name} has no description. Write it directly above `create function`:\n    {FORM}"
                )
                continue
            try:
                found[name] = _parse(name, path, block)
            except ValueError as error:
                problems.append(f"{where}: the description of public.{name} {error}.")
    return found, problems


def _comment_above(text: str, position: int) -> list[str]:
    """The comment lines directly above, from the last `-- edge:` on; several of these in a row are one."""
    block: list[str] = []
    for line in reversed(text[:position].splitlines()):
        is_edge, begun = line.startswith("-- edge:"), bool(block) and block[0].startswith("-- edge:")
        if not line.startswith("--") or (begun and not is_edge):
            break
        if begun:
            block[0] = f"{line} {block[0].removeprefix('-- edge:').strip()}"
        else:
            block.insert(0, line)
    return block


def _parse(name: str, path: Path, block: list[str]) -> Description:
    flags: set[str] = set()
    options: dict[str, str] = {}
    for word in block[0].removeprefix("-- edge:").split():
        key, equals, value = word.partition("=")
        if equals and key in OPTIONS and value and key not in options:
            options[key] = value
        elif not equals and key in FLAGS:
            flags.add(key)
        else:
            known = ", ".join([*(f"{option}=" for option in sorted(OPTIONS)), *sorted(FLAGS)])
            raise ValueError(f"has `{word}`; known are {known}")
    if "result" not in options or "callers" not in options:
        raise ValueError("needs result= and callers=")
    callers = tuple(options["callers"].split(","))
    if not set(callers) <= ROLES:
        raise ValueError(f"has callers={options['callers']}; roles are {', '.join(sorted(ROLES))}")
    reads = dict(pair.split(":", 1) for pair in options.get("reads", "").split(",") if ":" in pair)
    return Description(
        name=name,
        chapter=path.parent.name,
        path=path,
        result=options["result"],
        callers=callers,
        keyed="keyed" in flags,
        repeatable="repeatable" in flags,
        denies="denies" in flags,
        slow="slow" in flags,
        repeatable_without=options.get("repeatable-without", ""),
        required=tuple(part for part in options.get("required", "").split(",") if part),
        reads=reads,
        doc="\n".join(line.removeprefix("--").removeprefix("   ") for line in block[1:]).strip(),
    )
