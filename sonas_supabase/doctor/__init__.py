"""The doctor: who can reach a write to a balance, a plan or a role in this project, and past which guards.

It reads the catalog over a connection, which every role may, and the text of functions, policies and views with
libpg_query; it works on a project in which nothing of the credit system is installed. Four steps: `_catalog` reads,
`_code` walks each body into events with their conditions, `_worth` tells which columns are worth money, and
`_functions` and `_tables` judge each way in.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sonas_supabase import Finding

from ._catalog import UUID, Catalog, read
from ._clashes import Clash, in_the_way
from ._doors import Doors
from ._finding import KINDS, sorted_findings
from ._functions import Functions
from ._moves import Codes
from ._tables import Tables
from ._worth import Worth, is_personal, snake, worth_of

if TYPE_CHECKING:
    from psycopg import Connection

_RECURSION = 1000

__all__ = ["KINDS", "Balance", "Clash", "HostReport", "examine", "in_the_way"]


@dataclass(frozen=True, slots=True)
class Balance:
    """A balance of the project's own that an import could take over."""

    table: str
    user_column: str
    column: str


@dataclass(frozen=True, slots=True)
class HostReport:
    """What the doctor says about a project: how much of it was read, what was found, which balances there are."""

    functions: int
    tables: int
    findings: tuple[Finding, ...]
    balances: tuple[Balance, ...]


def examine(connection: Connection[Any]) -> HostReport:
    """Reads the project on this connection and judges it. Changes nothing.

    Raises psycopg errors of the connection. A function that cannot be read as SQL is a finding, not an error.
    """
    return judge(read(connection))


def judge(catalog: Catalog) -> HostReport:
    """The findings about a catalog that has been read."""
    with _usual_recursion():
        return _judge(catalog)


@contextmanager
def _usual_recursion() -> Iterator[None]:
    """Python's own limit while foreign code is read: another package may have raised it beyond what a stack holds."""
    before = sys.getrecursionlimit()
    with suppress(RecursionError):  # already deeper than that
        sys.setrecursionlimit(min(before, _RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _judge(catalog: Catalog) -> HostReport:
    codes = Codes(catalog)
    worth = worth_of(catalog, codes.read)
    doors = Doors(catalog, codes.read, codes.expression_for)
    findings = [*Functions(catalog, codes, worth, doors).judge(), *Tables(catalog, codes, worth, doors).judge()]
    tables = [one for one in catalog.relations.values() if one.is_table and not one.is_own and not one.of_extension]
    return HostReport(
        len(catalog.routines), len(tables), tuple(sorted_findings(findings)), tuple(_balances(catalog, worth))
    )


def _balances(catalog: Catalog, worth: Worth) -> Iterator[Balance]:
    for (name, column), kind in worth.kinds.items():
        relation = catalog.relation(name)
        if kind != "counter" or relation is None or not is_personal(relation):
            continue
        uuids = [one for one in relation.columns.values() if one.type == UUID]
        named = [one.name for one in uuids if one.name in relation.user_columns or "user" in snake(one.name)]
        keys = [one.name for one in uuids if one.in_key]
        if named or keys:
            yield Balance(relation.title, (named or keys)[0], column)
