"""How long each figure of a 90-day window takes over a ledger of millions of rows: `python -m benchmarks.metrics`.

The ledger is thirteen months of a growing business, written in bulk. Each figure is asked for three times and the
slowest time counts; its rollup is compared with the ledger itself when `--compare` says so, which takes minutes.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from benchmarks._server import machine, start

# A month in the middle has as many rows as half of all accounts write.
_ROWS_PER_ACCOUNT = 7 * 8 * 2
_FIGURES: list[tuple[str, dict[str, Any]]] = [
    ("metrics_consumption", {}),
    ("metrics_consumption", {"bucket": "hour"}),
    ("metrics_consumption", {"bucket": "day", "time_zone": "Europe/Paris"}),
    ("metrics_conversion", {}),
    *(("metrics_usage", {"by": by}) for by in ("plan", "weekday", "hour", "cohort", "account")),
    ("metrics_usage", {"by": "metadata", "metadata_key": "model"}),
    ("metrics_usage", {"by": "metadata", "metadata_key": "model", "bucket": "day"}),
    ("metrics_exhaustion", {}),
    ("metrics_breakage", {}),
    ("metrics_breakage", {"bucket": "day"}),
    ("metrics_active_accounts", {}),
    ("metrics_active_accounts", {"bucket": "month"}),
    ("metrics_liability", {}),
]


def main(
    rows: Annotated[int, typer.Option(min=10_000, help="How many ledger rows.")] = 10_000_000,
    lagging: Annotated[int, typer.Option(min=0, help="Spends that are booked after the last roll-up.")] = 500,
    compare: Annotated[bool, typer.Option("--compare", help="Compare every figure with the ledger itself.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Measures every figure on a Postgres of its own."""
    console = Console(stderr=as_json)
    with TemporaryDirectory(prefix="sonas-benchmark-") as folder:
        Path(folder).chmod(0o755)
        with console.status("starting Postgres") as status, start(Path(folder)) as server:
            server.add_database("metrics", 0)
            began = time.perf_counter()
            server.run_file("metrics", "metrics_accounts.sql", accounts=rows // _ROWS_PER_ACCOUNT)
            for month in range(13):
                status.update(f"writing month {month + 1} of 13")
                server.run_file("metrics", "metrics_month.sql", month=month)
            server.run_file("metrics", "metrics_balances.sql")
            with server.connect("metrics") as connection:
                status.update("analyzing")
                connection.execute("select brin_summarize_new_values('public.credit_transactions_created_at_idx')")
                connection.execute("vacuum analyze")
                written = time.perf_counter() - began
                status.update("rolling up")
                connection.execute("select public.track_metadata_key('model')")
                rolled = roll_up(connection)
                connection.execute("vacuum analyze")
                spend(connection, lagging)
                found = []
                for metric, arguments in _FIGURES:
                    status.update(metric)
                    found.append(measure(connection, metric, arguments, compare=compare))
                again = roll_up(connection)
                about = {
                    **machine(server),
                    "ledger rows": value(connection, "select count(*) from public.credit_transactions"),
                    "of them in the window": value(
                        connection,
                        "select count(*) from public.credit_transactions where created_at > now() - interval '90 days'",
                    ),
                    "accounts": value(connection, "select count(*) from credits.accounts"),
                    "seconds to write": round(written),
                    "seconds to roll all of it up": round(rolled),
                    "seconds to roll up what had been added": round(again, 2),
                }
    if as_json:
        sys.stdout.write(json.dumps({**about, "figures": found}, indent=2) + "\n")
        return
    table = Table("figure", "arguments", "slowest of three", "equal to the ledger", box=None)
    for row in found:
        table.add_row(row["figure"], row["arguments"], f"{row['milliseconds']:,} ms", str(row["equal"] or "-"))
    console.print(table)
    console.print(" · ".join(f"{key} {value}" for key, value in about.items()), style="dim", soft_wrap=True)


def roll_up(connection: psycopg.Connection[Any]) -> float:
    began = time.perf_counter()
    while not value(connection, "select public.roll_up_metrics(20000)")["finished"]:
        pass
    return time.perf_counter() - began


def spend(connection: psycopg.Connection[Any], count: int) -> None:
    """What is not rolled up yet when the figures are asked for."""
    for (account,) in connection.execute("select account_id from credits.accounts limit %s", [count]).fetchall():
        connection.execute("select public.grant_credits(%s, 'message', 5)", [account])
        connection.execute("select public.consume_credits(%s, 'message', 1)", [account])


def measure(
    connection: psycopg.Connection[Any], metric: str, arguments: dict[str, Any], *, compare: bool
) -> dict[str, Any]:
    names = ", ".join(f"p_{name} => %({name})s" for name in (*arguments, "until"))
    given = arguments | {"until": value(connection, "select now()")}
    took, answer = [], None
    for _ in range(3):
        began = time.perf_counter()
        answer = value(connection, f"select public.{metric}({names})", given)
        took.append(time.perf_counter() - began)
    equal = None
    if compare:
        raw = value(connection, f"select public.{metric}({names}, p_raw => true)", given)
        assert isinstance(answer, dict)
        assert {k: v for k, v in raw.items() if k != "now"} == {k: v for k, v in answer.items() if k != "now"}
        equal = "yes"
    shown = ", ".join(f"{name} {value}" for name, value in arguments.items())
    return {"figure": metric, "arguments": shown, "milliseconds": round(max(took) * 1000), "equal": equal}


def value(connection: psycopg.Connection[Any], query: str, arguments: Any = None) -> Any:
    row = connection.execute(query.encode(), arguments).fetchone()
    assert row is not None
    return row[0]


if __name__ == "__main__":
    typer.run(main)
