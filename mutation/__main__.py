"""`python -m mutation --sample 40`: how many small faults do the tests catch?

A fault in SQL goes into a copy of the migrated database, a fault in Python into a copy of the sources; nothing here is
changed. The tests that reach the place are run, quickest first; the first red one catches it.
"""

from __future__ import annotations

import argparse
import queue
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from mutation import python, sql
from mutation.mutant import Mutant
from mutation.near import Near
from mutation.results import Result, Results
from mutation.worker import NO_END, Worker, workers

OUT = Console(highlight=False, markup=False, soft_wrap=True)
ENOUGH = 95
# Seconds for a fault, at first and when all others are done.
PATIENCE = (30, 600)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    chosen = choose(options)
    with TemporaryDirectory(prefix="sonas-mutation-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        results = Results(options.results or folder / "results.jsonl")
        left = results.missing(chosen, again=options.again)
        OUT.print(f"{len(chosen)} faults, {len(chosen) - len(left)} of them known; seed {options.seed}")
        if left:
            with workers(folder, options.workers) as started:
                try_all(started, left, results, folder, options)
    return summary(results, chosen)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m mutation")
    made.add_argument("--sample", type=int, help="how many of each language; all of them by default")
    made.add_argument("--seed", type=int, default=20261123, help="of the sample and of the order")
    made.add_argument("--only", choices=["sql", "python"])
    made.add_argument("--match", default="", help="only faults whose line has this text")
    made.add_argument("--since", help="a commit: only SQL that has changed after it")
    made.add_argument("--workers", type=int, default=2)
    made.add_argument("--limit", type=float, default=float("inf"), help="begin none after this many seconds")
    made.add_argument("--results", type=Path, help="a file to add to; what is known there is not tried again")
    made.add_argument("--again", choices=["survived", "caught", "stillborn"], help="but those with this outcome are")
    made.add_argument("--near", type=int, help="no more tests for a fault than the nearest so many; then no last word")
    made.add_argument("--reach", type=Path, help="a file to keep which test calls what, made when it is not there")
    return made


def choose(options: argparse.Namespace) -> list[Mutant]:
    chosen: list[Mutant] = []
    made = {"sql": sql.mutants(options.since), "python": python.mutants()}
    for language, mutants in made.items():
        if options.only in (None, language):
            known = [mutant for mutant in mutants if options.match in str(mutant)]
            OUT.print(f"{len(known)} faults can be put into the {language}")
            chosen += random.Random(options.seed).sample(known, min(options.sample or len(known), len(known)))
    random.Random(options.seed).shuffle(chosen)
    return chosen


def try_all(
    started: list[Worker], mutants: list[Mutant], results: Results, folder: Path, options: argparse.Namespace
) -> None:
    reach: Path = options.reach or folder / "reach.json"
    if not reach.exists():
        OUT.print("which test calls what …")
        started[0].find_reach(reach)
    near = Near.read(reach, options.near)
    for mutant in sql.mutants():
        near.learn(mutant, results.red_on(mutant))
    started[0].use(near)
    started[0].control(mutants)
    OUT.print(f"{len(near.tests)} tests, green without a fault")
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    later: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    green: dict[Mutant, set[str]] = {}
    for mutant in mutants:
        waiting.put(mutant)
    ends = time.monotonic() + options.limit
    writing, stop = threading.Lock(), threading.Event()
    with Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn(), console=OUT) as bar:
        task = bar.add_task("faults", total=len(mutants))

        def work(worker: Worker) -> None:
            worker.use(near)
            while time.monotonic() < ends and not stop.is_set():
                try:
                    mutant, patience = next_of(waiting, later)
                except queue.Empty:
                    return
                known = green.get(mutant, set())
                result = worker.try_out(mutant, green=known, patience=patience)
                if result.why == NO_END and patience == PATIENCE[0]:
                    green[mutant] = worker.green
                    later.put(mutant)
                    continue
                with writing:
                    results.add(result)
                    bar.advance(task)
                    OUT.print(line(result))

        threads = [threading.Thread(target=work, args=[worker]) for worker in started]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            OUT.print("ends after the faults that are being tried")
            stop.set()
            for thread in threads:
                thread.join()


def next_of(waiting: queue.SimpleQueue[Mutant], later: queue.SimpleQueue[Mutant]) -> tuple[Mutant, float]:
    """What takes long comes last."""
    try:
        return waiting.get_nowait(), PATIENCE[0]
    except queue.Empty:
        return later.get_nowait(), PATIENCE[1]


def line(result: Result) -> str:
    by = f"  ({result.by.split('::', 1)[-1] or result.why})" if result.outcome == "caught" else ""
    return f"{result.outcome} {result.seconds:.0f} s  {result.mutant}{by}"


def summary(results: Results, chosen: list[Mutant]) -> int:
    table = Table("fault", "tried", "caught", "survived", "could not be made")
    tried = caught = 0
    for kind, counts in sorted(results.counts(chosen).items()):
        tried += counts["caught"] + counts["survived"]
        caught += counts["caught"]
        table.add_row(
            kind,
            str(counts["caught"] + counts["survived"]),
            str(counts["caught"]),
            str(counts["survived"]),
            str(counts["stillborn"]),
        )
    OUT.print(table)
    share = 100 * caught / max(tried, 1)
    OUT.print(f"{caught} of {tried} caught ({share:.1f} %)")
    return 0 if share >= ENOUGH else 1


if __name__ == "__main__":
    raise SystemExit(main())
