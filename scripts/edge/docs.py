"""The table of all calls in docs/python.md, and the catalog of the tests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from scripts.edge.catalog import Function
from scripts.edge.description import Description

BEGIN, END = "<!-- calls: scripts/generate_edge.py -->", "<!-- end of calls -->"
Edge = Sequence[tuple[Description, Function]]


def with_calls(text: str, chapters: Mapping[str, Edge]) -> str:
    """docs/python.md with the table of all calls."""
    lines = [BEGIN, "", "| method | answers | chapter | |", "|---|---|---|---|"]
    for chapter, edge in chapters.items():
        for description, _ in edge:
            said = _in_markdown(" ".join(description.doc.partition("\n\n")[0].split()))
            users = " Signed-in users may call the SQL function for themselves." if description.for_users else ""
            lines.append(
                f"| `{description.name}` | `{description.result.partition('.')[0]}` | {chapter} | {said}{users} |"
            )
    lines += ["", END]
    pattern = re.compile(rf"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"docs/python.md has no lines between {BEGIN} and {END}")
    return pattern.sub(lambda _: "\n".join(lines), text)


def _in_markdown(docstring: str) -> str:
    return re.sub(r":\w+:`([^`]*)`", r"`\1`", docstring).replace("``", "`")


def catalog(chapters: Mapping[str, Edge]) -> str:
    """tests/support/edge.json: a line a function, so that two changes seldom meet."""
    lines = []
    for chapter, edge in chapters.items():
        for description, function in edge:
            lines.append(
                json.dumps(
                    {
                        "name": description.name,
                        "chapter": chapter,
                        "description": description.line,
                        "callers": list(description.callers),
                        "reads_only": function.reads_only,
                        "arguments": [
                            [a.name, a.type, a.default, a.name in description.required] for a in function.arguments
                        ],
                    }
                )
            )
    return "[\n" + ",\n".join(lines) + "\n]\n"
