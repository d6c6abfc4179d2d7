"""`sonas prices` and `sonas plans`: what is on sale as files under version control, with the difference first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.conftest import Sonas
from tests.support.database import Database

Answer = Callable[..., Any]
BOOK = """[book]
id = "shop"
credit_type = "integration"
credits_per_unit = "100"

[[price]]
operation = "alchemy:*"
dimension = "call"
nano_per_unit = "370000000"
"""


def test_a_file_is_pushed_with_its_difference_listed_quoted_and_exported(
    sonas: Sonas, answer: Answer, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(BOOK)
    dry = sonas("prices", "push", file, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "+ alchemy:* call: no price → 0.37" in dry.output
    assert "1 would change" in dry.output
    assert "There is no such price book" in sonas("prices", "list", "--book", "shop").output
    assert answer("prices", "push", file)["changed"] == 1
    assert answer("prices", "push", file) | {"changes": None} == {
        "success": True, "dry_run": False, "changed": 0, "unchanged": 1, "changes": None, "missing": []
    }  # fmt: skip
    file.write_text(BOOK.replace("370000000", "500000000").replace("alchemy:*", "alchemy:eth_call"))
    pushed = answer("prices", "push", file)
    assert (pushed["changed"], pushed["missing"]) == (1, [["alchemy:*", "call"]])
    quoted = answer("prices", "quote", "alchemy:eth_call", "call=3", "--book", "shop")
    assert (quoted["cost"], quoted["maximum"]) == ("1.5", 2)
    assert "0.37" in sonas("prices", "list", "--book", "shop").output
    assert "no price" in sonas("prices", "push", file, "--end-missing").output
    exported = sonas("prices", "export", "--book", "shop")
    assert 'nano_per_unit = "500000000"' in exported.output
    assert "alchemy:*" not in exported.output


def test_models_are_imported_with_their_steps(sonas: Sonas, answer: Answer, database: Database) -> None:
    database.call("set_price_book", "models", "integration", credits_per_unit=100)
    words = (
        "prices",
        "import",
        "genai-prices",
        "--book",
        "models",
        "--model",
        "google/gemini-2.5-pro",
        "--markup",
        "1.5",
    )
    dry = sonas(*words, "--dry-run")
    assert "(1 steps)" in dry.output
    assert answer(*words)["changed"] > 5
    assert answer(*words)["changed"] == 0
    exported = sonas("prices", "export", "--book", "models")
    assert 'markup = "1.5"' in exported.output
    assert "cost_steps" in exported.output
    refused = sonas(
        "prices", "import", "genai-prices", "--book", "models", "--model", "deepseek/deepseek-chat", "--markup", "1"
    )
    assert "time of day" in refused.output
    of_default = ("prices", "import", "genai-prices", "--model", "openai/gpt-4o", "--markup", "1.3", "--dry-run")
    asked = sonas(*of_default)
    assert (asked.exit_code, "--credits-per-unit 1000" in asked.output) == (2, True)
    assert "would change" in sonas(*of_default, "--credits-per-unit", "1000").output
    assert sonas(*of_default, "--credits-per-unit", "nan").exit_code == 2
    assert "There is no such price book" in sonas(*of_default, "--book", "nowhere").output
    assert sonas("prices", "import", "genai-prices").exit_code == 2
    assert sonas("prices", "import", "genai-prices", "--markup", "1", "--model", "no/model").exit_code == 2
    assert sonas("prices", "quote", "no/model").exit_code == 1
    assert sonas("prices", "quote", "no/model", "input").exit_code == 2


def test_plans_are_pushed_with_their_difference(sonas: Sonas, answer: Answer, tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    assert sonas("plans", "export", file).exit_code == 0
    assert answer("plans", "push", file)["changes"] == []
    file.write_text(file.read_text().replace("message = 500", "message = 600"))
    dry = sonas("plans", "push", file, "--dry-run")
    assert "~ pro message: 500 → 600" in dry.output
    assert answer("plans", "push", file)["changes"] == [
        {"plan_id": "pro", "what": "message", "before": "500", "after": "600"}
    ]
    assert "600" in sonas("plans").output
    file.write_text("[[plan]]\n")
    assert sonas("plans", "push", file).exit_code == 2
