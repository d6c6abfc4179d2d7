"""A book and the plans go into a file and come back as they were; what no file says is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonas_supabase.prices import BookFile, BookFileProblem, PlansFile

TEXT = """[book]
id = "default"
credit_type = "integration"
credits_per_unit = "100"

[[price]]
operation = "alchemy:*"
dimension = "call"
nano_per_unit = "12.5"

[[price]]
operation = "openai/gpt-5"
dimension = "input"
per = 1000000
valid_from = 2026-03-01T00:00:00Z
cost_per_unit = 1.25
markup = "1.3"
cost_steps = { by = ["input", "cache_read"], steps = [{ above = 200000, nano_per_unit = 2.5 }] }
"""


def test_a_file_is_read_and_written_alike(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(TEXT)
    book = BookFile.read(path)
    assert book.prices[1]["cost_per_unit"] == "1.25"
    assert book.prices[1]["valid_from"] == "2026-03-01T00:00:00+00:00"
    assert book.prices[1]["cost_steps"]["steps"] == [{"above": 200000, "nano_per_unit": 2.5}]
    path.write_text(book.text())
    assert BookFile.read(path) == book


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[book\n", "line 1"),
        ("[[prices]]\n", "prices"),
        ('[[price]]\noperation = "a"\n', "price 1 has no dimension"),
        ('[[price]]\noperation = "a"\ndimension = "call"\ncolor = "red"\n', "color"),
        ('[[price]]\noperation = "a"\ndimension = "call"\nvalid_from = 2026-03-01T00:00:00\n', "zone"),
    ],
)
def test_what_is_no_book_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(BookFileProblem, match=said):
        BookFile.read(path)


def test_plans_are_read_and_written_alike(tmp_path: Path) -> None:
    path = tmp_path / "plans.toml"
    limits = 'limits = { message = 500, project = "unlimited" }\nrollover = { message = 50 }'
    path.write_text(f'[[plan]]\nid = "pro"\nrank = 3\n{limits}\n')
    plans = PlansFile.read(path)
    assert plans.plans[0]["limits"] == {
        "message": {"allowance": 500, "rollover_cap": 50},
        "project": {"allowance": None, "rollover_cap": 0},
    }
    path.write_text(plans.text())
    assert PlansFile.read(path) == plans
    path.write_text('[[plan]]\nid = "pro"\nlimits = { message = "many" }\n')
    with pytest.raises(BookFileProblem, match="unlimited"):
        PlansFile.read(path)
