"""Figures: the same thing measured again and again, beside what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One side of a comparison: its runs, and the runs of the floor in the same turns."""

    section: str
    name: str
    unit: str
    runs: tuple[float, ...]
    floors: Mapping[str, tuple[float, ...]]

    @property
    def value(self) -> float:
        return median(self.runs)

    def ratio(self, floor: str) -> float:
        """The median of the ratios of each turn: this side by the floor."""
        return median(mine / theirs for mine, theirs in zip(self.runs, self.floors[floor], strict=True))

    def as_json(self) -> dict[str, Any]:
        return {
            "section": self.section,
            "name": self.name,
            "unit": self.unit,
            "median": round(self.value, 1),
            "runs": [round(run, 1) for run in self.runs],
            "ratios": {floor: round(self.ratio(floor), 3) for floor in self.floors},
        }


Run = Callable[[], float]


def take_turns(
    section: str,
    sides: Mapping[str, Run],
    floors: tuple[str, ...],
    *,
    rounds: int,
    say: Callable[[str], None],
    unit: str = "per second",
) -> list[Figure]:
    """Runs every side once in each round, in an order that turns, and compares each with the floors of its round."""
    names = list(sides)
    runs: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            say(f"round {turn + 1} of {rounds}, {name}")
            runs[name].append(sides[name]())
    return [
        Figure(
            section,
            name,
            unit,
            tuple(runs[name]),
            {} if name in floors else {floor: tuple(runs[floor]) for floor in floors},
        )
        for name in names
    ]


def show(console: Console, section: str, figures: list[Figure]) -> None:
    """Prints the figures of a section as a table."""
    if not figures:
        console.print(f"{section}: a program for it is missing")
        return
    floors = list(dict.fromkeys(floor for figure in figures for floor in figure.floors))
    unit = figures[0].unit
    table = Table(title=section, title_justify="left", title_style="bold")
    table.add_column("")
    for heading in (unit, "lowest", "highest", *(f"by {floor}" for floor in floors)):
        table.add_column(heading, justify="right")
    for figure in figures:
        digits = ",.0f" if unit == "per second" else ",.1f"
        values = [format(value, digits) for value in (figure.value, min(figure.runs), max(figure.runs))]
        ratios = [f"{figure.ratio(floor):.2f}" if floor in figure.floors else "" for floor in floors]
        table.add_row(figure.name, *values, *ratios)
    console.print(table)
