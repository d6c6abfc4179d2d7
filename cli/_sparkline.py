"""A row of numbers as a line of blocks, as wide as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDEST = 40
# Fewer blocks than this show no course; the place is left empty then.
_LEAST = 6


def sparkline(values: Sequence[float], *, width: int = _WIDEST) -> str:
    """The course of `values`, from nothing to the largest; what is more than nothing is never drawn as nothing.

    Beyond `width` neighbours share a block, which stands for their mean: a block of fewer looks no smaller for it.
    """
    if not values:
        return ""
    count = min(len(values), width)
    edges = [nth * len(values) // count for nth in range(count + 1)]
    means = [sum(values[low:high]) / (high - low) for low, high in pairwise(edges)]
    largest = max(means)
    if largest <= 0:
        return _BLOCKS[0] * count
    return "".join(
        _BLOCKS[max(1, round(mean / largest * (len(_BLOCKS) - 1)))] if mean > 0 else _BLOCKS[0] for mean in means
    )


class Course:
    """The course of `values` in a cell of a table: it gives way before anything else does."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = values

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """From as good as nothing to as many blocks as there are values."""
        widest = min(len(self.values), _WIDEST, options.max_width)
        return Measurement(min(1, widest), widest)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One line."""
        room = options.max_width
        fits = room >= min(_LEAST, len(self.values))
        yield Text(sparkline(self.values, width=min(room, _WIDEST)) if fits else "", no_wrap=True, overflow="crop")
