"""How many instructions a call takes in one backend, with its commit but not the wait for the disk.

They do not depend on what else the machine does. `valgrind` counts them, in a server that it runs by itself.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks._figures import Figure
from benchmarks._server import SQL

if TYPE_CHECKING:
    from benchmarks._sections import Plan
    from benchmarks._server import Server

HOLD = "(public.reserve_credits(k, 'message', 1, 'bench') ->> 'reservation_id')::uuid"
# What is run, so often before it is counted that all plans are made, and so often in all.
CALLS = {
    "the loop itself": ("perform 1;", 20, 100),
    "one statement": ((SQL / "floor_one_statement.sql").read_text().split("\n", 1)[1], 20, 100),
    "consume_credits": ("perform public.consume_credits(k, 'message', 1, 'bench');", 20, 100),
    "consume_credits with a key": (
        "perform public.consume_credits(k, 'message', 1, 'bench', gen_random_uuid()::text);",
        20,
        100,
    ),
    "reserve and capture": (f"perform public.capture_credits(k, {HOLD});", 20, 100),
    "a batch of 100": ("perform public.consume_credits_batch(k, items);", 8, 14),
}
# One line: a server that is alone with its user reads a command a line.
PROGRAM = (
    "do $$ declare k uuid := md5('7')::uuid; items jsonb; begin set synchronous_commit = off; "
    "select jsonb_agg(jsonb_build_object('credit_type', 'message', 'description', 'bench')) into items "
    "from generate_series(1, 100); for i in 1..{times} loop {call} commit; end loop; end $$;\n"
)
ACCOUNTS = 500


def _count(server: Server, program: str) -> int:
    borrowed = ["runuser", "-u", server.cluster.runs_as, "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [
            *borrowed, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
            str(server.programs / "postgres"), "--single", "-D", str(server.cluster.directory / "data"),
            "-c", "wal_level=logical", "-c", "fsync=off", "instructions",
        ],
        input=program, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None or "ERROR" in done.stderr:
        raise RuntimeError(f"valgrind could not count: {done.stderr}")
    return int(found[1])


def instructions(server: Server, plan: Plan, say: Callable[[str], None]) -> list[Figure]:
    """Instructions of each call; none where there is no valgrind."""
    if shutil.which("valgrind") is None:
        return []
    say("filling")
    server.add_database("instructions", min(plan.accounts, ACCOUNTS))
    server.cluster.stop()
    found: list[Figure] = []
    try:
        for name, (call, before, times) in CALLS.items():
            say(name)
            text = call.replace("md5(:account::text)::uuid", "k").strip()
            first, all_of_them = (_count(server, PROGRAM.format(times=n, call=text)) for n in (before, times))
            found.append(Figure("instructions", name, "instructions", ((all_of_them - first) / (times - before),), {}))
    finally:
        server.cluster.start()
    return found
