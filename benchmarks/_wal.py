"""What a spend with a key writes to the WAL, record by record, once every page has been written whole."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks._figures import Figure
from benchmarks._pgbench import pgbench
from benchmarks._size import ACCOUNTS, OURS, SPENDS

if TYPE_CHECKING:
    from benchmarks._sections import Plan
    from benchmarks._server import Server

RECORD = re.compile(r"rmgr: (?P<kind>\S+)\s+len \(rec/tot\):\s*\d+/\s*(?P<bytes>\d+).*?desc: (?P<what>\S+)(?P<rest>.*)")
RELATION = re.compile(r"rel \d+/\d+/(\d+)")
POSITION = "select pg_current_wal_insert_lsn()::text"


def wal(server: Server, plan: Plan, say: Callable[[str], None]) -> list[Figure]:
    """Bytes for each spend, of each kind of record that comes to one byte at least, and of all of them."""
    accounts = min(plan.accounts, ACCOUNTS)
    spends = accounts * SPENDS // plan.clients * plan.clients
    say("filling")
    server.add_database("wal", accounts)
    with server.connect("wal") as connection:
        for table in OURS:
            connection.execute(f"vacuum full {table}".encode())
        names = {str(node): name for node, name in connection.execute("select relfilenode, relname from pg_class")}
        positions: list[str] = []
        for turn in ("warming up", "spending"):
            say(turn)
            positions = [str(row[0]) for row in connection.execute(POSITION)]
            pgbench(server, "wal", "consume_with_key", clients=plan.clients, accounts=accounts, transactions=spends)
        positions += [str(row[0]) for row in connection.execute(POSITION)]
    folder = server.cluster.directory / "data" / "pg_wal"
    done = subprocess.run(
        [str(server.programs / "pg_waldump"), "-p", str(folder), "-s", positions[0], "-e", positions[1]],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        if record := RECORD.match(line):
            relation = RELATION.search(record["rest"])
            name = names.get(relation[1], "another") if relation else ""
            found[f"{record['kind']} {record['what']} {name}".strip()] += int(record["bytes"])
            found["all"] += int(record["bytes"])
    return [
        Figure("wal", name, "bytes", (total / spends,), {}) for name, total in found.most_common() if total >= spends
    ]
