"""All that the command line prints. Tables for people on stdout, or one JSON object; what went wrong on stderr."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from textwrap import wrap
from typing import Any
from uuid import UUID

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

# Control characters, and those that turn the direction of a line.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


class Output:
    """Prints for people, or for programs when `as_json` is set."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        # What people write is shown as they wrote it: `:key:` is no picture of a key.
        self._out = Console(highlight=False, emoji=False)
        if not self._out.is_terminal:
            # What is written to a file or a pipe is searched, not looked at: nothing is folded there.
            self._out.width = 200
        self._err = Console(stderr=True, highlight=False, emoji=False)

    def answer(self, value: Any, *shown: RenderableType) -> None:
        """The result of a command: `value` as JSON, or what is `shown` of it."""
        if self.as_json:
            self.json(value)
            return
        self._print(shown)

    def json(self, value: Any) -> None:
        """One JSON object, on lines of its own."""
        self.raw(json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")

    def raw(self, text: str) -> None:
        """Text for programs, as it is."""
        self._out.file.write(text)

    def line(self, text: str, *, style: str | None = None) -> None:
        """A line that stays as it is, however wide the terminal."""
        self._out.print(text, markup=False, soft_wrap=True, style=style)

    def paragraph(self, text: str, *, indent: int = 0) -> None:
        """Words for people, folded where the terminal ends and indented throughout."""
        width = max(self._out.width, 40)
        lines = wrap(text, width - indent, break_long_words=False, break_on_hyphens=False)
        for line in lines:
            self.line(" " * indent + line)

    def show(self, *items: RenderableType) -> None:
        """Something for people; nothing with --json."""
        if not self.as_json:
            self._print(items)

    def _print(self, items: Iterable[RenderableType]) -> None:
        for item in items:
            self._out.print(item, soft_wrap=isinstance(item, str) and self._is_to_be_copied(item))

    def _is_to_be_copied(self, text: str) -> bool:
        """Commands and words that are longer than a line: nothing is put in between."""
        return "\n  " in text or any(len(word) > self._out.width for word in text.split())

    def note(self, text: str) -> None:
        """A remark beside the result, on stderr."""
        self._err.print(text, markup=False, soft_wrap=True, style="dim")

    def problem(self, message: str, hint: str = "", *, code: str, details: Mapping[str, Any] | None = None) -> None:
        """What went wrong and what to do about it."""
        if self.as_json:
            self.json(
                {"success": False, "code": code, "message": message, "hint": hint, "details": dict(details or {})}
            )
            return
        self._err.print(f"[bold red]{escape(message)}[/]  [dim]{escape(code)}[/]", soft_wrap=True)
        if hint and hint != message:
            self._err.print(escape(hint), soft_wrap=True)

    def progress(self) -> Progress:
        """A bar on stderr, which goes away when it is done; silent with --json, and where nobody looks."""
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=self._err,
            transient=True,
            disable=self.as_json or not self._err.is_terminal,
        )


def plain(value: Any) -> Any:
    """A value as JSON has it: ids as strings, times in UTC."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return f"{value:f}" if isinstance(value, Decimal) else value


class _Fitted(Table):
    """Columns stand closer where there is little room."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.collapse_padding = options.max_width < 100
        return super().__rich_console__(console, options)


_UNFOLDED = 10_000


class Facts:
    """Names with their values, a line each. An id or an address is never folded: it is there to be copied."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self._rows = [(str(name), value) for name, value in rows]

    def __rich_console__(self, console: Console, _: ConsoleOptions) -> RenderResult:
        """A line for each fact; words go on below themselves."""
        width = max((len(name) for name, _ in self._rows), default=0) + 2
        for name, value in self._rows:
            shown = cell(value)
            room = max(console.width - width, 20)
            lines = wrap(shown, room, break_long_words=False, break_on_hyphens=False) if " " in shown else [shown]
            for nth, line in enumerate(lines or [""]):
                yield Text(f"{'' if nth else name:<{width}}{line}", no_wrap=True, overflow="ignore", end="\n")


class Listing:
    """A table whose rows have an id. Where there is no room for both, the id has a line of its own below its row."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None) -> None:
        self._columns, self._rows, self._title = columns, rows, title

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The whole table, or its rows and their ids in turn."""
        whole = _plain_table(self._columns, self._rows, title=self._title)
        if (
            Measurement.get(console, options.update(max_width=_UNFOLDED), whole).maximum <= options.max_width
            or not self._rows
        ):
            yield whole
            return
        ids = [at for at, column in enumerate(self._columns) if column.startswith("@")]
        kept = [at for at in range(len(self._columns)) if at not in ids]
        short = _plain_table(
            [self._columns[at] for at in kept], self._in(options.max_width, kept), title=self._title, one_line=True
        )
        lines = console.render_lines(short, options.update(height=None), pad=False)
        above = len(lines) - len(self._rows)
        for nth, line in enumerate(lines):
            yield from line
            yield Segment.line()
            if nth >= above:
                named = "  ".join(cell(self._rows[nth - above][at]) for at in ids)
                yield Text(f"  {named}", style="dim", no_wrap=True, overflow="ignore", end="\n")

    def _in(self, width: int, kept: Sequence[int]) -> list[list[str]]:
        """The cells of the columns that are kept, on one line each: the longest text gives way."""
        rows = [[cell(row[at]) for at in kept] for row in self._rows]
        lengths = [max([len(self._columns[at]), *(len(row[nth]) for row in rows)]) for nth, at in enumerate(kept)]
        longest = lengths.index(max(lengths))
        room = max(width - sum(lengths) + lengths[longest] - 2 * len(kept), 8)
        for row in rows:
            if len(row[longest]) > room:
                row[longest] = row[longest][: room - 1] + "…"
        return rows


def table(columns: Iterable[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> Any:
    """A table; columns whose name begins with `#` are numbers, and stand right, those with `@` are ids.

    Two columns without a name are facts: see :class:`Facts`.

    Those that begin with `~` hold a course, which gives way where there is little room: nothing else is folded then.
    """
    columns, rows = list(columns), list(rows)
    is_drawn = any(hasattr(one, "__rich_console__") for row in rows for one in row)
    if columns == ["", ""] and title is None and not is_drawn:
        return Facts(rows)
    if any(column.startswith("@") for column in columns):
        return Listing(columns, rows, title)
    return _plain_table(columns, rows, title=title)


def _plain_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, one_line: bool = False
) -> Table:
    has_course = any(column.startswith("~") for column in columns)
    made = (_Fitted if has_course else Table)(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        show_header=any(columns),
        box=None,
        pad_edge=False,
    )
    for column in columns:
        is_course = column.startswith("~")
        is_id = column.startswith("@")
        made.add_column(
            Text(column[1:], no_wrap=True, overflow="ellipsis") if is_course else column.lstrip("#@"),
            justify="right" if column.startswith("#") else "left",
            overflow="ellipsis" if has_course else "fold",
            no_wrap=(has_course and not is_course) or one_line or is_id,
        )
    for row in rows:
        made.add_row(*(value if hasattr(value, "__rich_console__") else escape(cell(value)) for value in row))
    return made


def cell(value: Any) -> str:
    """A value in a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        # UTC, as the options that take a time and the sentences that the database says.
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    # What users wrote must not move the cursor or colour the terminal of whoever reads it.
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value))


def sonas() -> str:
    """How to call this command from here: by its name, or where it is when the shell would not find it."""
    if shutil.which("sonas"):
        return "sonas"
    here = Path(sys.executable).with_name("sonas")
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else str(here)


def credits(value: int | None) -> str:
    """An amount of credits; None is unlimited."""
    return "unlimited" if value is None else f"{value:,}"
