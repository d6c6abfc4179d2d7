"""What there is to attack, read from the catalog: a table or function that is new tomorrow is attacked tomorrow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.support.database import Database
from tests.support.edge import FOR_USERS

WORLD_READABLE = {"plans", "plan_limits", "credit_packs", "credit_price_books", "credit_prices"}
"""A pricing page reads these without a token. Nothing else may be."""

USER_FUNCTIONS = set(FOR_USERS)
"""What signed-in users may call, for themselves."""

HOST_TABLES = {"projects"}
"""The reference app's own table, which its users may write through their own policies."""


@dataclass(frozen=True)
class Function:
    """A function of the exposed schema: its arguments by name with their types, and how many have no default."""

    name: str
    arguments: dict[str, str]
    required: int
    reads_only: bool


def tables(database: Database) -> dict[str, list[str]]:
    """Every relation that PostgREST exposes, with its columns."""
    return dict(
        database.query(
            "select c.relname::text, array_agg(a.attname::text order by a.attnum) from pg_class c "
            "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
            "where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') "
            "group by 1 order by 1"
        )
    )


def functions(database: Database) -> list[Function]:
    return [
        Function(name, dict(zip(names or [], types or [], strict=True)), required, volatility != "v")
        for name, names, types, required, volatility in database.query(
            "select p.proname::text, p.proargnames::text[], "
            "(select array_agg(format_type(t.type, null) order by t.nth) "
            "from unnest(p.proargtypes) with ordinality t(type, nth)), "
            "p.pronargs - p.pronargdefaults, p.provolatile::text from pg_proc p "
            "where p.pronamespace = 'public'::regnamespace and p.prorettype <> 'trigger'::regtype order by 1"
        )
    ]


GOOD: dict[str, Any] = {
    "uuid": "{user}", "text": "message", "bigint": 1, "integer": 1, "boolean": False, "jsonb": {},
    "timestamp with time zone": "2026-01-01T00:00:00Z", "numeric": "1.5",
    "text[]": [], "integer[]": [50], "bigint[]": [5], "uuid[]": [],
}  # fmt: skip
"""A value of each type of argument. A type that is not here fails the tests: think of its hostile values first."""

INJECTIONS = ["'; select pg_sleep(9); --", "../../etc/passwd", "%s%n\u202e"]

HOSTILE: dict[str, list[Any]] = {
    "uuid": [None, "", "x", "{nobody}", "00000000-0000-0000-0000-000000000000", "{user}' or '1'='1", 1, []],
    "text": [None, "", "a\0b", "m" * 100_000, "MESSAGE", " message", *INJECTIONS],
    "bigint": [None, "", 0, -1, 1.5, 2**53 + 1, 2**63, -(2**63), "Infinity", True, [1]],
    "integer": [None, "", 0, -1, 1.5, 2**31 - 1, 2**31, "x", True, [1]],
    "numeric": [None, "", 0, -1, "NaN", "Infinity", "1e400", "0." + "0" * 400 + "1", 2**63, "x", True, [1]],
    "boolean": [None, "maybe", 2, []],
    "text[]": [None, "", "x", [None], [""], ["m" * 100_000], [["a"], ["b"]], ["a"] * 5_000, {}],
    "integer[]": [None, "", 1, [None], [0], [-1], [101], [2**31], ["x"], [[1], [2]], [5] * 5_000],
    "bigint[]": [None, "", 1, [None], [0], [-1], [2**63], ["x"], [[1], [2]], [5] * 5_000],
    "uuid[]": [None, "", "x", [None], ["x"], ["{nobody}"], [["{nobody}"]], ["{nobody}"] * 5_000],
    "jsonb": [None, 1, [], [None], [{}], {"a": "\0"}, {"__proto__": {}}, {"a": "x" * 70_000}],
    "timestamp with time zone": [None, "", "infinity", "-infinity", "epoch", "294277-01-01", 0, []],
}  # fmt: skip


def as_query(arguments: dict[str, Any]) -> dict[str, str]:
    """Arguments as PostgREST takes them in the address."""
    return {n: v if isinstance(v, str) else json.dumps(v) for n, v in arguments.items() if v is not None}
