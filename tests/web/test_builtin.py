"""The built-in work: small, real, and open about what it is."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from sonas_supabase.web import Project, _builtin


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A landing page for a token launch, with a countdown", "Landing page for a token launch"),
        ("Please build me a wallet tracker", "Wallet tracker"),
        ("build the", "Untitled"),
        ("…", "…"),
        ("x" * 4000, "…"),
    ],
)
async def test_a_project_is_named_after_its_prompt(prompt: str, name: str) -> None:
    assert (await _builtin.generate(prompt)).name == name


async def test_what_is_asked_for_cannot_become_markup() -> None:
    page = (await _builtin.generate("A page <script>alert(1)</script> and <b>more</b>")).files["index.html"]
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert "&lt;b&gt;more&lt;/b&gt;" in page


async def answer(message: str, **files: str) -> str:
    project = Project(id=uuid4(), name="Harbour", files=files, created_at=datetime.now(UTC))
    return "".join([piece async for piece in _builtin.chat(project, message)])


async def test_the_chat_quotes_the_lines_that_mention_a_word() -> None:
    said = await answer("Tell me about the ships!", log="Monday\nTwo ships came.\n", other="nothing")
    assert "log, line 2: Two ships came." in said
    assert "other, line" not in said


async def test_the_chat_says_what_it_is_and_when_it_has_found_nothing() -> None:
    said = await answer("Tell me about trains", log="Ships")
    assert "I am the built-in assistant" in said
    assert "None of them mentions" in said


async def test_the_chat_quotes_some_of_many() -> None:
    said = await answer("ships?", log="ships\n" * 40)
    assert said.count("• ") == 6
    assert "34 more lines" in said
