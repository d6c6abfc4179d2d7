"""A figure as a table that a spreadsheet opens right."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime, tzinfo
from typing import Any

_DATES = ("day", "week", "month", "quarter", "year")


def as_csv(kind: type[Any], rows: Sequence[Any], bucket: str, zone: tzinfo) -> str:
    """A header, and a line per row.

    `bucket` is in words that spreadsheets take for a date, in the time zone of the figures; `begins_at` is the same
    instant for programs, also where the clocks go back and an hour comes twice.
    """
    text = io.StringIO()
    names = [field.name for field in fields(kind)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "begins_at"])
    for row in rows:
        writer.writerow([*_cells(row, names, bucket, zone), row.bucket.astimezone(zone).isoformat()])
    return text.getvalue().rstrip("\n")


def _cells(row: Any, names: Sequence[str], bucket: str, zone: tzinfo) -> Iterator[Any]:
    for name in names:
        value = getattr(row, name)
        if isinstance(value, datetime):
            is_date = name == "bucket" and bucket in _DATES
            yield value.astimezone(zone).strftime("%Y-%m-%d" if is_date else "%Y-%m-%d %H:%M")
        elif isinstance(value, dict):
            yield json.dumps(value)
        elif isinstance(value, str):
            yield _inert(value)
        else:
            yield value


def _inert(text: str) -> str:
    """What users wrote into metadata is text, also where it looks like a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
