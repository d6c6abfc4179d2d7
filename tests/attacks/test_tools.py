"""What scanners say of the SQL and of the Python: nothing but what tools.toml keeps, each with its reason."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from tests.attacks.world import World
from tests.support.parts import missing

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = sorted((ROOT / "supabase" / "migrations").glob("*.sql"))
KEPT: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("tools.toml").read_text())


def run(tool: str, *arguments: str | Path) -> str:
    binary = Path(sys.executable).with_name(tool)
    if not binary.exists():
        missing(f"{tool} is missing. `pip install 'sonas-supabase[dev]'` brings it.")
    done = subprocess.run([binary, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout, done.stderr
    return done.stdout


def compare(tool: str, found: Iterable[tuple[str, str]]) -> None:
    """Fails for a rule that nobody has argued, and for an argument that nothing needs any more."""
    reports = list(found)
    new = [report for report in reports if report[0] not in KEPT[tool]]
    assert not new, f"{tool}: {new[:20]}"
    stale = set(KEPT[tool]) - {rule for rule, _ in reports}
    assert not stale, f"{tool} no longer reports {sorted(stale)}: take it out of tools.toml"


def test_bandit() -> None:
    report = json.loads(run("bandit", "-r", "sonas_supabase", "cli", "scripts", "bootstrap.py", "-q", "-f", "json"))
    assert not report["errors"]
    assert report["metrics"]["_totals"]["loc"] > 3000
    compare("bandit", [(f["test_id"], f"{f['filename']}:{f['line_number']}") for f in report["results"]])


def test_squawk() -> None:
    report = json.loads(run("squawk", "--reporter", "Json", *MIGRATIONS))
    compare("squawk", [(f["rule_name"], f"{Path(f['file']).name}:{f['line'] + 1}") for f in report])


def test_pgspot(tmp_path: Path) -> None:
    """Over all migrations at once. Two ways to return are written in another one, which the tool can read."""
    text = "\n".join(path.read_text() for path in MIGRATIONS)
    text = re.sub(r"^return (.+?);$", r"as $$ select \1 $$;", text, flags=re.MULTILINE | re.DOTALL)
    everything = tmp_path / "all.sql"
    everything.write_text(re.sub(r"\breturn next (?=\w)", "perform ", text))
    said = run("pgspot", everything)
    assert "syntax error" not in said, said[-300:]
    compare("pgspot", [(line[:5], line) for line in said.splitlines() if re.match(r"PS\d{3}:", line)])


def test_pgrls(world: World) -> None:
    said = run(
        "pgrls",
        "lint",
        "--database-url",
        world.database.superuser_url,
        "--schemas",
        "public,credits",
        "--format",
        "json",
    )
    found = [(violation["rule_id"], violation["location"]) for violation in json.loads(said)["violations"]]
    ours = [(rule, place) for rule, place in found if not place.startswith("public.projects")]
    compare("pgrls", ours)


def test_every_exception_is_argued_in_a_line() -> None:
    for tool, rules in KEPT.items():
        for rule, reason in rules.items():
            assert reason.endswith("."), (tool, rule)
            assert 10 < len(reason) <= 140, (tool, rule)
