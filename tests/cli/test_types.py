"""`sonas types`: the project's credit types for a type checker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Sonas


def test_the_module_has_what_the_project_has_and_a_checker_finds_a_mistake(sonas: Sonas, tmp_path: Path) -> None:
    result = sonas("types")
    assert result.exit_code == 0, result.output
    (tmp_path / "credits_types.py").write_text(result.stdout)
    names: dict[str, object] = {}
    exec(result.stdout, names)
    assert (names["MESSAGE"], names["INTEGRATION"], names["PROJECT"]) == ("message", "integration", "project")
    program = 'from credits_types import CreditType\n\n\ndef spend(kind: CreditType) -> None: ...\n\n\nspend("{}")\n'
    for kind, code in (("message", 0), ("mesage", 1)):
        (tmp_path / "app.py").write_text(program.format(kind))
        checked = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "app.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == code, checked.stdout


def test_json_has_the_same_names(sonas: Sonas) -> None:
    result = sonas("types", "--json")
    assert '"message"' in result.stdout
