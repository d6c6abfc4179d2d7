"""Run the fault tests and write what they saw into docs/reliability.md.

`python scripts/reliability.py` runs the short form, `--long` the long one (hours). A seed is repeated with SONAS_SEED.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "test-output" / "faults.jsonl"
DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- results: scripts/reliability.py -->", "<!-- end of results -->"


def main(arguments: list[str]) -> int:
    """Run, then write. Nothing is written when a test fails."""
    form = "long" if "--long" in arguments else "short"
    RESULTS.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/faults", "-q"],
        cwd=ROOT,
        env={**os.environ, "SONAS_FAULTS": form},
        check=False,
    )
    if done.returncode:
        return done.returncode
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{_table(lines, form)}\n{END}{after}")
    return 0


def _table(lines: list[dict[str, Any]], form: str) -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    issued = sum(line["issued"] for line in lines)
    rows = [
        f"| {line['fault']} | {line['dose']} | {line['issued']:,} | {line['acknowledged']:,} | {line['denied']:,} "
        f"| {line['unknown']:,} | {line['sent again']:,} | {line['seed']} |"
        for line in lines
    ]
    when = f"{datetime.now(UTC):%d %B %Y}"
    return "\n".join(
        [
            f"The {form} form at commit {commit}, {when}: {issued:,} operations, no promise broken.",
            "",
            "| fault | how often | issued | took effect | denied | never learned | sent again | seed |",
            "|---|---|--:|--:|--:|--:|--:|--:|",
            *rows,
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
