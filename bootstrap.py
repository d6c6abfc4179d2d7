"""From a fresh clone to a running thing: `python3 bootstrap.py demo`, `up` or `test`.

Makes `.venv` beside this file, installs the project into it and runs the command there. Further words are handed on:
`python3 bootstrap.py test tests/client -k hold`; `test --quick` runs a little of everything in about a minute.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"

# What each command needs installed, and what it runs.
COMMANDS = {
    "demo": ("local", ["-m", "sonas_cli", "demo"]),
    "up": ("local", ["-m", "sonas_cli", "up"]),
    "test": ("dev", ["-m", "pytest", "--numprocesses", "logical", "--maxprocesses", "4"]),
    # What npm brings for the tests, and where it is; `test` does it by itself.
    "parts": ("dev", ["-m", "tests.support.parts"]),
}


def install(extra: str) -> None:
    """Brings `.venv` up to date, unless it was brought there from the same pyproject.toml before."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = VENV / f"installed-{extra}"
    # `dev` holds all that `local` holds.
    for done in (stamp, VENV / "installed-dev"):
        if done.exists() and done.read_text() == wanted:
            return
    if not PYTHON.exists():
        say(f"Making {VENV.name}")
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    say(f"Installing sonas-supabase[{extra}] into {VENV.name} (a minute, once)")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "--editable", f"{ROOT}[{extra}]"], check=True)
    stamp.write_text(wanted)


def say(text: str) -> None:
    """Tells what is going on, on stderr, so that --json output stays clean."""
    sys.stderr.write(f"{text} …\n")
    sys.stderr.flush()


def main() -> int:
    """Becomes the command that was asked for, or says why not."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what meets an older Python
        sys.stderr.write(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.\n")
        return 2
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.stderr.write(f"{__doc__}\nCommands: {', '.join(COMMANDS)}\n")
        return 2
    extra, command = COMMANDS[sys.argv[1]]
    try:
        install(extra)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(
            "The installation failed; what pip said stands above. It needs a package index and some disk space.\n"
        )
        return error.returncode
    os.chdir(ROOT)
    # The command takes this process over, so that Ctrl-C and a kill reach it, and nothing stays behind.
    os.execv(PYTHON, [str(PYTHON), *command, *sys.argv[2:]])  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
