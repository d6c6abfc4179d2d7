"""pgbench: prepared statements, as many connections as asked for, transactions per second."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from benchmarks._server import SQL, Server, environment


def pgbench(
    server: Server,
    database: str,
    script: str,
    *,
    clients: int,
    accounts: int,
    seconds: float = 0,
    transactions: int | None = None,
) -> float:
    """Transactions per second of `sql/<script>.sql` among the first `accounts` accounts, for a time or so many."""
    # pgbench counts whole seconds; with fewer transactions than that it would measure its own start.
    length = max(1, round(seconds))
    if transactions is not None:
        return _run(
            server, database, script, ["-t", str(max(1, transactions // clients))], clients=clients, accounts=accounts
        )
    # On a busy machine a short run may end before its first transaction, and then there is no figure.
    for longer in (length, 3 * length, 9 * length):
        found = _run(server, database, script, ["-T", str(longer)], clients=clients, accounts=accounts)
        if found:
            return found
    raise RuntimeError(f"{script} did nothing in {9 * length} seconds")


def _run(server: Server, database: str, script: str, limit: list[str], *, clients: int, accounts: int) -> float:
    """One run of pgbench; 0 when it ended before its first transaction."""
    done = subprocess.run(
        [
            str(Path(server.programs) / "pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j", "2", *limit,
            "-D", f"accounts={accounts}", "-f", str(SQL / f"{script}.sql"),
            "-h", "127.0.0.1", "-p", str(server.cluster.port), "-U", "postgres", database,
        ],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    if done.returncode == 0 and re.search(r"actually processed: 0\b", done.stdout):
        return 0
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not found or "number of failed transactions: 0 " not in done.stdout:
        raise RuntimeError(f"pgbench could not run {script}: {done.stderr or done.stdout}")
    return float(found[1])
