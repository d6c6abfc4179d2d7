"""The generator of the sync client notices what it is there to notice."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, working on a copy of the package."""
    specification = importlib.util.spec_from_file_location("generate_sync", ROOT / "scripts/generate_sync.py")
    assert specification
    assert specification.loader
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    package = tmp_path / "sonas_supabase"
    for folder in ("_async", "_sync"):
        shutil.copytree(ROOT / "sonas_supabase" / folder, package / folder, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, value in {"PACKAGE": package, "SOURCE": package / "_async", "TARGET": package / "_sync"}.items():
        monkeypatch.setattr(script, name, value)
    return script


def test_what_is_committed_is_up_to_date(generator: ModuleType) -> None:
    assert generator.main(["--check"]) == 0


def test_an_edited_twin_is_out_of_date(generator: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    twin = generator.TARGET / "hold.py"
    twin.write_text(twin.read_text().replace("def release", "def let_go"))
    assert generator.main(["--check"]) == 1
    assert "out of date: _sync/hold.py" in capsys.readouterr().err
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0


def test_a_missing_and_a_stray_file_are_noticed(generator: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    (generator.TARGET / "rpc.py").rename(generator.TARGET / "stray.py")
    assert generator.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "_sync/rpc.py" in said
    assert "_sync/stray.py" in said


def test_a_rule_that_nothing_needs_is_noticed(generator: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    generator.RULES.append((r"\bnobody_writes_this\b", ""))
    assert generator.main(["--check"]) == 1
    assert "unused rule" in capsys.readouterr().err
