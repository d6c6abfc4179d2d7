"""English and German say the same things, with the same values; nothing on a page stands outside of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sonas_supabase.web import _pages

TOPICS = sorted((_pages.STATIC / "words").glob("*.js"))
SCRIPTS = sorted(_pages.STATIC.glob("*.js"))


def words_of(text: str) -> dict[str, dict[str, Any]]:
    """The dictionary of a topic; its file is a module whose one export is data."""
    plain = re.sub(r"^\s*//.*\n", "", text, flags=re.M).replace("export default ", "").strip().rstrip(";")
    plain = re.sub(r"([{,]\s*)(\w+):", r'\1"\2":', plain)
    found: dict[str, dict[str, Any]] = json.loads(re.sub(r",(\s*})", r"\1", plain))
    return found


@pytest.mark.parametrize("topic", TOPICS, ids=lambda path: path.stem)
def test_both_languages_have_every_text_with_the_same_values(topic: Any) -> None:
    words = words_of(topic.read_text())
    assert set(words) == {"en", "de"}
    assert set(words["en"]) == set(words["de"])

    def values(text: Any) -> set[str]:
        return set(re.findall(r"\{(\w+)\}", json.dumps(text)))

    for key, english in words["en"].items():
        assert values(english) == values(words["de"][key]), key
        assert isinstance(english, str) == isinstance(words["de"][key], str), key


def test_every_text_that_a_script_asks_for_is_there_and_none_is_left_over() -> None:
    known = {key for topic in TOPICS for key in words_of(topic.read_text())["en"]}
    text = "\n".join(path.read_text() for path in [*SCRIPTS, *_pages.STATIC.glob("*.html")])
    quoted = set(re.findall(r"[\"'`]([a-z_]+(?:\.[a-z_0-9]+)+)[\"'`]", text))
    topics = {key.partition(".")[0] for key in known}
    asked = {
        key for key in quoted if key.partition(".")[0] in topics and not key.endswith((".js", ".css", ".csv", ".html"))
    }
    assert asked - known == set()
    # Keys that are put together: `type.${…}`.
    begins = tuple(re.findall(r"[\"'`]([a-z_]+(?:\.[a-z_]+)*\.)\$\{", text)) + tuple(
        re.findall(r"[\"'`]([a-z_]+\.[a-z_]*)\$\{", text)
    )
    assert {key for key in known if key not in quoted and not key.startswith(begins)} <= {"contact"}
