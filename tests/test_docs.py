"""The Python examples of the documentation run, and print what the documentation says they print."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import sonas_supabase
from sonas_supabase import CreditsClient
from tests.support.database import Database

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def broken_stream(prompt: str) -> Iterator[str]:
    yield from ["Once", "upon"]
    raise ConnectionError


@pytest.fixture
def surroundings(database: Database, user: UUID, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the examples take for granted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database.url)
    database.run("create table if not exists public.reports (user_id uuid not null, title text not null)")
    return {
        "user_id": user,
        "database_url": database.url,
        "prompt": "Tell me a story.",
        "model": lambda prompt: "Once upon a time.",
        "actual_cost": lambda answer: 1,
        "stream": broken_stream,
    }


@pytest.mark.parametrize(
    "document", ["README.md", "docs/python.md", "docs/messages.md", "docs/prices.md", "docs/teams.md"]
)
async def test_the_examples_do_what_they_say(document: str, surroundings: dict[str, Any]) -> None:
    text = (ROOT / document).read_text()
    blocks = list(BLOCK.finditer(text))
    assert blocks, f"{document} has no Python examples"
    try:
        for block in blocks:
            printed = await run(block["code"], surroundings, f"{document}:{text[: block.start()].count(chr(10)) + 2}")
            assert block["output"] is None or printed == block["output"]
    finally:
        for value in surroundings.values():
            if isinstance(value, CreditsClient):
                value.close()


async def run(code: str, surroundings: dict[str, Any], place: str) -> str:
    """What a block prints; it may await."""
    output = StringIO()
    with redirect_stdout(output):
        result = eval(compile(code, place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), surroundings)
        if inspect.isawaitable(result):
            await result
    return output.getvalue()


def test_the_page_names_every_method_and_its_answer() -> None:
    table = (ROOT / "docs/python.md").read_text().split("## Every call")[1]
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    methods = {
        name
        for name, member in inspect.getmembers(CreditsClient, inspect.isfunction)
        if not name.startswith("_") and name not in ("reserve", "close", "iter_credit_history")
    }
    assert named == methods
    assert set(re.findall(r"`([A-Z]\w+)`", table)) <= set(sonas_supabase.__all__)
