"""A release is frozen, and every database of an earlier one gets to where a new database is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.loading import load
from tests.support.server import Server
from tests.support.upgrades import check_releases

ROOT = Path(__file__).resolve().parents[1]

UPGRADE = """\
alter table public.plans add column audience text;
comment on column public.plans.audience is 'Who it is for.';
-- include schemas/plans/list_plans.sql
-- include schemas/plans/plan_audience.sql
"""

AUDIENCE = """\
create function credits.plan_audience(p_plan_id text)
returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (select p.audience from public.plans p where p.id = p_plan_id);
end
$$;
comment on function credits.plan_audience(text) is 'Who a plan is for.';
revoke all on function credits.plan_audience(text) from public, anon, authenticated, service_role;
"""


def load_build(root: Path) -> ModuleType:
    return load(root / "scripts" / "build_migration.py")


def test_sources_and_migrations_make_the_same_database_from_every_release_on(server: Server) -> None:
    assert check_releases(server, load_build(ROOT)) == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the project, to release from."""
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("scripts", "supabase"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.rmtree(tmp_path / "supabase" / "upgrades", ignore_errors=True)
    (tmp_path / "supabase" / "migrations.sha256").unlink(missing_ok=True)
    replace(tmp_path / "pyproject.toml", f'version = "{load_build(tmp_path).release()}"', 'version = "0.1.0"')
    for file in (tmp_path / "supabase" / "migrations").iterdir():
        file.unlink()
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## 0.1.0 (not released)\n\nThe first release.\n")
    run(tmp_path, "build_migration.py")
    return tmp_path


def run(tree: Path, script: str, *words: str, exit_code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, tree / "scripts" / script, *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done.stdout + done.stderr


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def contents(tree: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in tree.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def begin_next(tree: Path) -> None:
    """Releases 0.1.0 and begins 0.2.0, with a column, a function that knows it and one that is changed."""
    run(tree, "release.py")
    replace(tree / "pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"')
    schemas = tree / "supabase" / "schemas" / "plans"
    with (schemas / "plans.sql").open("a") as file:
        file.write("\n".join(UPGRADE.splitlines()[:2]) + "\n")
    (schemas / "plan_audience.sql").write_text(AUDIENCE)
    with (schemas / "list_plans.sql").open("a") as file:
        file.write("comment on function public.list_plans(boolean) is 'Changed.';\n")


def upgrade_with(tree: Path, text: str) -> ModuleType:
    (tree / "supabase" / "upgrades").mkdir(exist_ok=True)
    (tree / "supabase" / "upgrades" / "0.2.0.sql").write_text(text)
    run(tree, "build_migration.py")
    run(tree, "build_migration.py", "--check")
    return load_build(tree)


def test_checking_a_release_changes_nothing(tree: Path) -> None:
    before = contents(tree)
    assert "0.1.0 can be released" in run(tree, "release.py", "--dry-run")
    assert contents(tree) == before


def test_a_release_stamps_and_freezes_its_migration(tree: Path) -> None:
    run(tree, "release.py")
    [released] = (tree / "supabase" / "migrations").glob("*.sql")
    assert released.name in (tree / "supabase" / "migrations.sha256").read_text()
    assert "## 0.1.0 (not released)" not in (tree / "CHANGELOG.md").read_text()
    run(tree, "build_migration.py", "--check")
    assert "released already" in run(tree, "release.py", exit_code=1)

    # The sources go on; the released file stays.
    (tree / "supabase" / "schemas" / "plans" / "plan_audience.sql").write_text("select 1;\n")
    before = released.read_bytes()
    run(tree, "build_migration.py")
    assert released.read_bytes() == before
    released.write_text(released.read_text() + "select 1;\n")
    assert released.name in run(tree, "build_migration.py", "--check", exit_code=1)


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda tree: (tree / "CHANGELOG.md").write_text("# Changes\n"), "CHANGELOG.md has no section"),
        (lambda tree: (tree / "CHANGELOG.md").write_text("## 0.1.0 (not released)\n\n## 0\n"), "is empty"),
        (lambda tree: (tree / "supabase/schemas/plans/a.sql").write_text("select 1;\n"), "out of date"),
    ],
)
def test_what_is_not_ready_is_not_released(tree: Path, break_it: Callable[[Path], object], sentence: str) -> None:
    break_it(tree)
    assert sentence in run(tree, "release.py", exit_code=1)
    assert not (tree / "supabase" / "migrations.sha256").exists()


def test_a_database_of_an_earlier_release_gets_to_where_a_new_one_is(server: Server, tree: Path) -> None:
    begin_next(tree)
    build = upgrade_with(tree, UPGRADE)
    assert [path.stem.partition("_")[2] for path in sorted(build.MIGRATIONS.glob("*.sql"))] == [
        "sonas_credits_0.1.0",
        "sonas_credits_0.2.0",
    ]
    assert check_releases(server, build) == []


def test_an_upgrade_that_forgets_something_is_noticed(server: Server, tree: Path) -> None:
    begin_next(tree)
    forgotten = "\n".join(line for line in UPGRADE.splitlines() if "list_plans" not in line and "comment" not in line)
    found = check_releases(server, upgrade_with(tree, forgotten))
    assert {line.partition(":")[0] for line in found} == {"all migrations", "from sonas_credits_0.1.0"}
    assert any("public.plans.audience" in line and "Who it is for" in line for line in found)
    assert any("list_plans" in line for line in found)


def test_a_source_that_makes_a_table_is_not_included(tree: Path) -> None:
    begin_next(tree)
    (tree / "supabase" / "upgrades").mkdir()
    (tree / "supabase" / "upgrades" / "0.2.0.sql").write_text("-- include schemas/plans/plans.sql\n")
    assert "create table" in run(tree, "build_migration.py", exit_code=1)
