"""What is installed is what is here: every package, and every file that is not Python."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def setuptools() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    return settings


def test_every_package_is_listed() -> None:
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "sonas_supabase").rglob("__init__.py")}
    listed = {
        name for name in setuptools()["packages"] if not name.startswith(("sonas_cli", "sonas_supabase._supabase"))
    }
    assert found == listed


def test_every_other_file_is_package_data() -> None:
    data = setuptools()["package-data"]
    packaged = set()
    for package, patterns in data.items():
        folder = ROOT / setuptools()["package-dir"].get(package, package.replace(".", "/"))
        if package.startswith("sonas_supabase._supabase"):
            folder = ROOT / "supabase" / Path(*package.split(".")[2:])
        for pattern in patterns:
            packaged |= set(folder.glob(pattern))
    ours = {
        path
        for path in (ROOT / "sonas_supabase").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    } | set((ROOT / "supabase" / "migrations").glob("*.sql"))
    assert ours <= packaged
