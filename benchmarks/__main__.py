from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from benchmarks._figures import Figure, show
from benchmarks._sections import SECTIONS, Plan
from benchmarks._server import machine, start


def main(  # noqa: PLR0917 - typer calls it by name
    sections: Annotated[
        list[str] | None, typer.Argument(help=f"Which to run: {', '.join(SECTIONS)}. All when none is named.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of each run.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="How often each side has its turn.")] = 5,
    clients: Annotated[int, typer.Option(min=1, help="Connections at the same time.")] = 8,
    accounts: Annotated[int, typer.Option(min=1, help="Among how many accounts a run chooses.")] = 20_000,
    rows: Annotated[int, typer.Option(min=1, help="How many ledger rows `growth` grows to.")] = 5_000_000,
    pgledger: Annotated[
        list[Path] | None,
        typer.Option(
            help="SQL files of a copy of pgledger, in their order, to measure its transfer as well.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Measures consume_credits against the bare floor, in turns, on a Postgres of its own."""
    chosen = sections or list(SECTIONS)
    unknown = sorted(set(chosen) - set(SECTIONS))
    if unknown:
        raise typer.BadParameter(f"no such section: {', '.join(unknown)}. There are {', '.join(SECTIONS)}.")
    console = Console(stderr=as_json)
    plan = Plan(seconds=seconds, rounds=rounds, clients=clients, accounts=accounts, rows=rows)
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="sonas-benchmark-") as folder:
        Path(folder).chmod(0o755)
        with console.status("starting Postgres") as status, start(Path(folder), tuple(pgledger or ())) as server:
            about = {
                "at": datetime.now(UTC).isoformat(timespec="minutes"),
                "command": "python -m benchmarks " + " ".join(sys.argv[1:]),
                **machine(server),
            }
            for name in chosen:
                found = SECTIONS[name](server, plan, lambda step, name=name: status.update(f"{name}: {step}"))  # type: ignore[misc]
                figures.extend(found)
                if not as_json:
                    show(console, name, found)
    if as_json:
        sys.stdout.write(json.dumps({**about, "figures": [figure.as_json() for figure in figures]}, indent=2) + "\n")
    else:
        console.print(" · ".join(f"{key} {value}" for key, value in about.items()), style="dim", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
