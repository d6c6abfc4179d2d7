"""What is installed is what is here: every package, and every file that is not Python."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tests.support.loading import load

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


def test_the_page_of_an_index_has_no_link_to_a_file_beside_it() -> None:
    page = load(ROOT / "setup.py").index_page()
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert len(links) == len(re.findall(r"\]\([^)]+\)", (ROOT / "README.md").read_text()))


def test_what_the_page_of_an_index_links_to_is_there() -> None:
    for link in re.findall(r"/(?:blob|raw)/v[^/]+/([^)#]+)", load(ROOT / "setup.py").index_page()):
        assert (ROOT / link).exists(), link


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """The wheel as it is released, built from a copy without what is left over here."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "tree" / name)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    subprocess.run([sys.executable, "-c", build], cwd=folder / "tree", capture_output=True, check=True, timeout=120)
    [made] = (folder / "tree").glob("*.whl")
    return ZipFile(made)


def test_the_wheel_has_the_licence_the_migrations_and_the_page(wheel: ZipFile) -> None:
    names = wheel.namelist()
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    for migration in (ROOT / "supabase" / "migrations").glob("*.sql"):
        assert f"sonas_supabase/_supabase/migrations/{migration.name}" in names
    [metadata] = [wheel.read(name).decode() for name in names if name.endswith("/METADATA")]
    assert "License-Expression: Apache-2.0" in metadata
    assert "Project-URL: Repository" in metadata
    assert load(ROOT / "setup.py").index_page().strip() in metadata
