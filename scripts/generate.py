"""Makes everything anew that is generated from the sources: `python scripts/generate.py`, or `--check`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS = (
    "scripts/build_migration.py",
    "scripts/generate_edge.py",
    "scripts/generate_sync.py",
    "scripts/generate_docs.py",
)


def main(arguments: list[str]) -> int:
    """Runs each step, and stops at the first that has something to say."""
    check = "--check" in arguments
    commands = [[step, *(["--check"] if check else [])] for step in STEPS]
    commands.append(["-m", "tests.support.privileges", "--check" if check else "--write"])
    for command in commands:
        code = subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
