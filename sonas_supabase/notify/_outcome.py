"""What became of one message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """``delivered``, ``dropped``, ``failed`` (to be tried again), ``dead`` or ``gone``, and why."""

    state: str
    error: str | None = None

    @classmethod
    def delivered(cls) -> Outcome:
        """It arrived."""
        return cls("delivered")

    @classmethod
    def failed(cls, error: str) -> Outcome:
        """It did not arrive, and may another time."""
        return cls("failed", error)
