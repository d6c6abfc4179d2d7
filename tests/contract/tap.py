"""Runs a pgTAP file with psql and reads what it says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path


def failures(psql: Path, url: str, file: Path) -> list[str]:
    """What went wrong in a file: tests not ok, another number of them than planned, errors. Empty when all is well."""
    done = subprocess.run(
        [str(psql), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PATH": os.environ["PATH"], "PGOPTIONS": "-c search_path=public,extensions", "LC_ALL": "C"},
    )
    return read(done.stdout, done.stderr if done.returncode != 0 else "")


def read(out: str, errors: str = "") -> list[str]:
    """The same, of what psql printed."""
    found = [line for line in out.splitlines() if line.startswith("not ok ") and "# TODO" not in line]
    planned = re.search(r"^1\.\.(\d+)", out, flags=re.MULTILINE)
    ran = len(re.findall(r"^(?:not )?ok \d+", out, flags=re.MULTILINE))
    skipped = re.findall(r"^ok \d+.*# SKIP.*$", out, flags=re.MULTILINE)
    if errors:
        found.append(errors.strip())
    if planned is None:
        found.append("no plan")
    elif int(planned[1]) != ran or ran == 0:
        found.append(f"planned {planned[1]} tests, ran {ran}")
    return found + skipped
