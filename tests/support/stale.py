"""What has to be generated anew before a test run can say anything; looked at without a database."""

from __future__ import annotations

from pathlib import Path

from scripts import build_migration
from scripts.edge.description import read_descriptions
from tests.support.edge import EDGE

ROOT = Path(__file__).resolve().parents[2]


def stale() -> list[str]:
    """A sentence for each cause; empty when the generated files may be what the sources say."""
    descriptions, problems = read_descriptions(ROOT)
    if problems:
        return problems
    described = {name: description.line for name, description in descriptions.items()}
    listed = {name: function.description for name, function in EDGE.items()}
    differ = sorted({name for name, _ in described.items() ^ listed.items()})
    if differ:
        return [f"The edge has changed ({', '.join(differ)}). Run `python scripts/generate_edge.py`."]
    path, text = build_migration.target(), build_migration.build()
    is_released = path.name in build_migration.frozen()
    if text is not None and not is_released and (not path.exists() or path.read_text("utf-8") != text):
        return ["A source in supabase/schemas has changed. Run `python scripts/build_migration.py`."]
    return []
