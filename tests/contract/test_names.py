"""Whatever a migration makes in public, the preflight looks for first, and the privilege check looks at afterwards."""

from __future__ import annotations

import re

import pytest

from tests.support.database import Database
from tests.support.edge import EDGE
from tests.support.sources import source

FUNCTIONS = "select proname::text from pg_proc where pronamespace = 'public'::regnamespace order by 1"
RELATIONS = "select relname::text from pg_class where relnamespace = 'public'::regnamespace order by 1"


@pytest.mark.parametrize("query", [FUNCTIONS, RELATIONS], ids=["functions", "relations"])
def test_the_preflight_knows_every_name(database: Database, query: str) -> None:
    preflight = source("preflight")
    # A usage table of the project's own keeps its key.
    names = [name for (name,) in database.query(query) if name not in ("usage", "usage_pkey")]
    assert names
    lists = re.findall(r"v_\w+ constant name\[\] := '\{(.*?)\}';", preflight, re.DOTALL)
    told = {name.strip() for part in lists for name in part.split(",")}
    assert [name for name in names if name not in told] == []


def test_the_privilege_check_looks_at_every_function_and_table(database: Database) -> None:
    functions = {name for (name,) in database.query(FUNCTIONS)}
    assert {name for (name,) in database.query("select credits.public_functions()")} == functions == EDGE.keys()
    tables = "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')"
    # A usage table of the project's own keeps its privileges.
    assert {name for (name,) in database.query("select credits.public_relations()")} == {
        name for (name,) in database.query(tables)
    } - {"usage"}


def test_no_function_is_overloaded(database: Database) -> None:
    names = [name for (name,) in database.query(FUNCTIONS)]
    assert len(names) == len(set(names))
