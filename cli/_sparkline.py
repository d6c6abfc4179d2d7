"""A row of numbers as a line of blocks."""

from __future__ import annotations

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], *, width: int = 40) -> str:
    """The course of `values`, from nothing to the largest; neighbours share a block beyond `width`."""
    if not values:
        return ""
    step = max(1, -(-len(values) // width))
    sums = [sum(values[start : start + step]) for start in range(0, len(values), step)]
    largest = max(sums)
    if largest <= 0:
        return _BLOCKS[0] * len(sums)
    return "".join(_BLOCKS[round(max(0, value) / largest * (len(_BLOCKS) - 1))] for value in sums)
