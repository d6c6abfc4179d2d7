"""What the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a database that somebody should look at: what it means, and how to try and to mend it.

    ``severity`` is critical, high, medium, low or info.
    """

    code: str
    severity: str
    object: str | None
    meaning: str
    how_to_try: str | None
    how_to_mend: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was inspected and found, the worst first. ``success`` is False when a finding is critical or high."""

    success: bool
    server_version: str
    findings: tuple[Finding, ...]
