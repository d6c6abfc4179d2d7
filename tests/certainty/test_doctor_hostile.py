"""A project may hold any text: the doctor says what it could not read, and neither dies, hangs nor runs it."""

from __future__ import annotations

import subprocess
import sys
from time import process_time
from typing import Any

import psycopg
import pytest

from sonas_supabase.doctor import examine

FUNCTION = (
    "create function {name}({arguments}) returns {answers} language {language} security definer as $body$ {body} $body$"
)


def plpgsql(body: str, *, arguments: str = "p uuid, n int", name: str = "hostile", answers: str = "void") -> str:
    return FUNCTION.format(name=name, arguments=arguments, answers=answers, language="plpgsql", body=body)


def sql(body: str, *, arguments: str = "n int", name: str = "hostile") -> str:
    return FUNCTION.format(name=name, arguments=arguments, answers="int", language="sql", body=body)


def calling(width: int, depth: int) -> str:
    """Functions that each call all of the next row: width to the power of depth calls."""
    made = []
    for level in range(depth):
        for nth in range(width):
            calls = "".join(f"perform f{level + 1}_{k}(p, n);" for k in range(width)) if level + 1 < depth else ""
            spends = "update wallets set credits = credits - n where id = p;"
            made.append(plpgsql(f"begin {calls} {spends} end", name=f"f{level}_{nth}"))
    return ";".join(made)


def doubling(depth: int) -> str:
    """Small functions that each name the one below twice: two to the power of depth when they are written out."""
    made = [sql("select n", name="d0")]
    made += [sql(f"select d{nth}(n) + d{nth}(n)", name=f"d{nth + 1}") for nth in range(depth)]
    made.append(plpgsql(f"begin update wallets set credits = credits - d{depth}(d{depth}(n)) where id = p; end"))
    return ";".join(made)


RECORDS = "".join(f"v{nth} wallets; " for nth in range(2000))
ASSIGNED = "".join(f"v{nth}.credits := 1; " for nth in range(2000))
MANY = "".join(f"if n = {nth} then raise exception 'no'; end if;" for nth in range(3000))
HOSTILE = {
    "a long sum": plpgsql(f"begin perform {'+'.join(['1'] * 130_000)}; end"),
    "a sum in SQL": sql(f"select {'+'.join(['n'] * 20_000)}"),
    "text put together": plpgsql(f"begin execute {'||'.join(['n'] * 900)}; end"),
    "parentheses": plpgsql(f"begin perform {'(' * 9000}1{')' * 9000}; end"),
    "cases": plpgsql(f"begin perform {'case when true then ' * 900}1{' end' * 900}; end"),
    "blocks": plpgsql("begin " * 900 + "null;" + "end; " * 900),
    "ifs": plpgsql("begin " + "if n = 1 then " * 900 + "null;" + "end if;" * 900 + "end"),
    "queries": sql(f"select {'(select ' * 900}1{')' * 900}"),
    "casts": sql(f"select n{'::int' * 900}"),
    "a value that grows": plpgsql(f"declare v int := n; begin {'v := v + v;' * 300} update wallets set credits=v; end"),
    "a text that grows": plpgsql(f"declare v text; begin {'v := v || n;' * 900} execute v; end"),
    "many records": plpgsql(f"declare {RECORDS} begin {ASSIGNED} end"),
    "many conditions": plpgsql(f"begin {MANY} update wallets set credits = credits - n; end"),
    "many writes": plpgsql(f"begin {'update wallets set credits = credits - n where id = p;' * 1500} end"),
    "calls of calls": calling(6, 5),
    "calls in calls": plpgsql(f"begin update wallets set credits = {'twice(' * 200}n{')' * 200}; end") + ";"
    + sql("select " + "+".join(["n"] * 250), name="twice"),
    "twice of twice": doubling(40),
    "itself": plpgsql("begin perform hostile(p, n); update wallets set credits = credits - n; end"),
    "not SQL": plpgsql("begin this is not a statement; \x01 end"),
    "nothing": plpgsql(""),
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_function_is_read_in_seconds_and_in_little_memory(host: psycopg.Connection[Any], text: str) -> None:
    host.execute("set local check_function_bodies = off")
    host.execute("create table wallets (id uuid primary key, credits int)")
    host.execute(text.encode())
    host.execute(plpgsql("begin update wallets set credits = credits + n where id = p; end", name="a_gift").encode())
    started = process_time()
    told = examine(host)
    assert process_time() - started < 10
    # What stands beside it is judged all the same.
    found = {(one.code, one.object) for one in told.findings}
    assert ("anyone_gets_credits", "public.a_gift(p uuid, n integer)") in found


def test_a_hostile_view_or_policy_does_not_end_it(host: psycopg.Connection[Any]) -> None:
    deep = "+".join(["credits"] * 400)
    host.execute("create table wallets (id uuid primary key, credits int)")
    host.execute("alter table wallets enable row level security")
    host.execute(f"create policy deep on wallets for update using ({deep} > 0)".encode())
    host.execute(f"create view deep as select {deep} as deep, credits from wallets".encode())
    found = {(one.code, one.object) for one in examine(host).findings}
    assert {("users_write_balance", "public.wallets.credits"), ("view_bypasses_rls", "public.deep")} <= found


def test_a_statement_that_would_overrun_the_parsers_stack_is_not_handed_to_it() -> None:
    """In a process of its own, which would be the one to die."""
    program = (
        "from sonas_supabase.doctor._tree import NOTHING, expression\n"
        "assert expression('+'.join(['1'] * 1_000_000)) == NOTHING\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_nothing_of_the_projects_own_is_run(host: psycopg.Connection[Any]) -> None:
    """Functions and operators that are named like those of the catalog and fit what the doctor asks better."""
    host.execute("create table was_run (what text)")
    noted = "begin insert into public.was_run values ('%s'); return true; end"
    for name, arguments in (
        ("has_schema_privilege", "text, oid, text"),
        ("has_function_privilege", "text, oid, text"),
        ("has_table_privilege", "text, oid, text"),
        ("has_column_privilege", "text, oid, smallint, text"),
        ("not_like", "name, text"),
        ("pg_has_role", "text, oid, text"),
    ):
        made = f"create function public.{name}({arguments}) returns boolean language plpgsql"
        host.execute(f"{made} as $$ {noted % name} $$".encode())
    host.execute("create operator public.!~ (leftarg = name, rightarg = text, function = public.not_like)")
    examine(host)
    assert host.execute("select what from was_run").fetchall() == []
    assert host.execute("show search_path").fetchall() == [("public",)]
