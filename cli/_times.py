"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any, overload

import typer


def moment(text: str) -> datetime:
    """A date or a time, with an offset or without one.

    Raises:
        BadParameter: it is neither.
    """
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time. Write it as 2027-02-01 or 2027-02-01T14:30.") from None


def time_option(name: str, help: str) -> Any:
    """An option that takes a time."""
    return typer.Option(name, metavar="TIME", parser=moment, help=help)


@overload
def in_zone(at: datetime, zone: tzinfo = UTC) -> datetime: ...
@overload
def in_zone(at: None, zone: tzinfo = UTC) -> None: ...
@overload
def in_zone(at: datetime | None, zone: tzinfo = UTC) -> datetime | None: ...
def in_zone(at: datetime | None, zone: tzinfo = UTC) -> datetime | None:
    """A time that was typed without an offset is one of this zone."""
    return at.replace(tzinfo=zone) if at is not None and at.tzinfo is None else at
