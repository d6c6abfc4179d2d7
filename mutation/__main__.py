"""`python -m mutation --sample 40`: how many small faults do the tests catch?

A fault in SQL goes into a copy of the migrated database, a fault in Python into a copy of the sources; nothing here is
changed. First the tests that know most about the place are run, then all the others; the first red one catches it.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from mutation import python, sql
from mutation.mutant import Mutant
from tests.support.database import TEMPLATE, make_template
from tests.support.server import Server, start_server

ROOT = Path(__file__).resolve().parents[1]
SEEN_BEFORE = "tests/database/test_small_faults.py"
# One transport and one colour do: the others run the same code, or code made from it.
ONE_SHAPE = "not rpc and not postgres-async and not [async]"
NEAR = {
    "revoke": ["tests/database/test_privileges.py"],
    "reserve|capture|release|pin|slices|hold": ["tests/database/test_holds.py", "tests/database/test_denials.py"],
    "refund": ["tests/database/test_refunds.py"],
    "replay|remember": ["tests/database/test_idempotency.py"],
    "batch": ["tests/database/test_denials.py", "tests/database/test_locks.py"],
    "plan|status|terms|allowance|subscri|rollover": ["tests/database/test_plans.py", "tests/database/test_reset.py"],
    "period|due|settle|clock|zone|lapse|renew": ["tests/database/test_calendar.py", "tests/database/test_reset.py"],
    "grant|issue|book": ["tests/database/test_burn_order.py", "tests/database/test_refunds.py"],
    "meter|row|table|owning": ["tests/database/test_meter_table.py"],
    "read|summary|history|explain|balances_of": ["tests/database/test_isolation.py", "tests/database/test_reading.py"],
    "lock|freeze|frozen": ["tests/database/test_locks.py"],
    "open_account|close|new_user|sign": ["tests/database/test_sign_up.py"],
    "unlimited|stock": ["tests/database/test_unlimited.py"],
    "check_request": ["tests/database/test_bad_input.py"],
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m mutation")
    parser.add_argument("--sample", type=int, help="how many of each language; all of them by default")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--only", choices=["sql", "python"])
    parser.add_argument("--match", default="", help="only faults whose line has this text")
    parser.add_argument("--limit", type=float, default=1e9, help="stop after this many seconds")
    parser.add_argument("--red", nargs="*", help="tests that are red as it is; found by a run of all when left out")
    options = parser.parse_args(arguments)
    chosen: list[Mutant] = []
    for language, make in (("sql", sql.mutants), ("python", python.mutants)):
        if options.only in (None, language):
            known = [mutant for mutant in make() if options.match in str(mutant)]
            say(f"{len(known)} faults can be put into the {language}")
            chosen += random.Random(options.seed).sample(known, min(options.sample or len(known), len(known)))
    random.Random(options.seed).shuffle(chosen)
    outcomes: Counter[str] = Counter()
    started = time.monotonic()
    with TemporaryDirectory(prefix="sonas-mutation-") as folder:
        Path(folder).chmod(0o755)
        sources = Path(folder) / "sources"
        shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns(".git", ".venv", "test-output", "__pycache__"))
        os.environ["SONAS_TEST_SERVER"] = "embedded"
        with start_server(Path(folder) / "cluster") as server:
            make_template(server)
            red = options.red if options.red is not None else red_without_a_fault(server, sources)
            leave_out = [f"--deselect={test}" for test in red]
            for mutant in chosen:
                if time.monotonic() - started > options.limit:
                    break
                outcome = try_out(server, sources, mutant, leave_out)
                outcomes[outcome.split()[0]] += 1
                say(f"{outcome:12} {mutant}")
    tried = outcomes["caught"] + outcomes["survived"]
    share = 100 * outcomes["caught"] / max(tried, 1)
    say(f"{outcomes['caught']} of {tried} caught ({share:.0f} %), {outcomes['stillborn']} could not be made")
    return 0 if share >= 95 else 1


def red_without_a_fault(server: Server, sources: Path) -> list[str]:
    """The tests which are red as it is: they would catch everything."""
    done = run_tests(
        server, sources, TEMPLATE, ["tests/database", "tests/client"], "-rfE", "-k", "not rpc and not async"
    )
    red: list[str] = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    say(f"{len(red)} tests are red without a fault, and left out: {' '.join(red)}" if red else "green without a fault")
    return red


def try_out(server: Server, sources: Path, mutant: Mutant, red: list[str]) -> str:
    """`caught` with the seconds that it took, `survived`, or `stillborn` for what cannot be read."""
    started = time.monotonic()
    if mutant.file.endswith(".py"):
        target = sources / mutant.file
        before = target.read_text()
        target.write_text(mutant.text)
        try:
            caught = is_red(server, sources, TEMPLATE, ["tests/client"], "-k", ONE_SHAPE, *red)
        except RuntimeError:
            # It cannot even be imported.
            return "stillborn"
        finally:
            target.write_text(before)
    else:
        with psycopg.connect(server.superuser_url("postgres"), autocommit=True) as connection:
            connection.execute("drop database if exists mutant with (force)")
            connection.execute(f"create database mutant template {TEMPLATE} owner postgres".encode())
        try:
            with psycopg.connect(server.url("mutant"), autocommit=True) as connection:
                connection.execute(mutant.text.encode())
        except psycopg.Error:
            return "stillborn"
        near = near_tests(mutant)
        caught = is_red(server, sources, "mutant", near, *red) or is_red(
            server, sources, "mutant", ["tests/database"], *red, *(f"--ignore={path}" for path in near)
        )
    return f"caught {time.monotonic() - started:.0f} s" if caught else "survived"


def near_tests(mutant: Mutant) -> list[str]:
    place = f"{mutant.kind} {mutant.name} {mutant.file}"
    names = {path: None for words, paths in NEAR.items() if any(w in place for w in words.split("|")) for path in paths}
    return [SEEN_BEFORE, *(names or ["tests/database/test_story.py", "tests/database/test_burn_order.py"])]


def is_red(server: Server, sources: Path, template: str, tests: list[str], *more: str) -> bool:
    done = run_tests(server, sources, template, tests, "-x", *more)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return done.returncode == 1


def run_tests(
    server: Server, sources: Path, template: str, tests: list[str], *more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "mutation.plugin", "-q", "-p", "no:cacheprovider", *tests, *more],
        cwd=sources,
        env={**os.environ, "SONAS_MUTATION_PORT": str(server.port), "SONAS_MUTATION_TEMPLATE": template},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
