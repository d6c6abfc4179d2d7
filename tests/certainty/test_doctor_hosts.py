"""`sonas doctor` in projects as people write them: what is harmful is found, tried and mended, what is harmless let be.

hosts/project.sql is the project. Each of the other files holds cases, and a case names all that is to be found in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import psycopg
import pytest

from sonas_supabase.doctor import examine

HOSTS = Path(__file__).parent / "hosts"
USER = "11111111-1111-4111-8111-111111111111"
# The blind ones were written when the doctor was finished, without looking at it.
HARMLESS = (
    "harmless_functions",
    "harmless_variants",
    "harmless_tables",
    "kinds_harmless",
    "blind_harmless",
    "second_harmless",
    "third_harmless",
)
HARMFUL = (
    "harmful_functions",
    "harmful_variants",
    "harmful_tables",
    "kinds_harmful",
    "blind_harmful",
    "second_harmful",
    "third_harmful",
)
OTHER = "22222222-2222-4222-8222-222222222222"

Diagnosis = Callable[[], list[dict[str, Any]]]


class Case(NamedTuple):
    """Something that a project may have, and the codes of what the doctor says about it."""

    name: str
    codes: set[str]
    sql: str


def cases(*files: str) -> list[Any]:
    made = []
    for file in files:
        for text in (HOSTS / f"{file}.sql").read_text().split("-- @ ")[1:]:
            head, _, sql = text.partition("\n")
            name, _, codes = head.rpartition(":")
            made.append(pytest.param(Case(name, set(codes.split()), sql), id=f"{file}: {name}"))
    return made


@pytest.fixture
def project(host: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    host.execute(f"insert into auth.users (id) values ('{USER}'), ('{OTHER}')".encode())
    host.execute((HOSTS / "project.sql").read_text().encode())
    host.execute(f"insert into profiles (id) values ('{USER}'), ('{OTHER}')".encode())
    host.execute(f"insert into coin_packs (id, credits, price_cents) values ('{OTHER}', 100, 999)".encode())
    return host


def of(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    return [found for found in diagnosis() if found["code"] != "scheduler_missing"]


@pytest.mark.parametrize("case", cases(*HARMLESS))
def test_what_is_closed_is_let_be(project: psycopg.Connection[Any], diagnosis: Diagnosis, case: Case) -> None:
    project.execute(case.sql.encode())
    found = of(diagnosis)
    assert {finding["code"] for finding in found} == case.codes, found


# What a reader would fill in. The rest is 5.
VALUES = {
    "boolean": "true",
    "date": "current_date",
    "uuid": f"'{OTHER}'",
    "jsonb": f"""'{{"user_id": "{OTHER}", "amount": 5}}'""",
    "json": f"""'{{"user_id": "{OTHER}", "amount": 5}}'""",
    "text": "'elite'",
}
# The user has a row already, there is nothing to spend, there is no such operation to refund.
REFUSED = {"23502", "23505", "P0001", "PT404"}


def run(connection: psycopg.Connection[Any], script: str) -> None:
    """Tries it and takes it back. That there is nothing to take says that one gets as far as that."""
    connection.execute("savepoint before")
    try:
        for statement in filled(script):
            connection.execute(statement.encode())
    except psycopg.Error as error:
        if error.sqlstate not in REFUSED:
            raise
    connection.execute("rollback to savepoint before")


def filled(script: str) -> list[str]:
    """The statements of a script between begin and rollback, with values where it says that they belong."""
    script = script.partition("begin; ")[2].partition(" rollback;")[0].replace("<id of some user>", USER)
    script = script.replace("<another plan>", "pro").replace("<a column> = <a value>", "id = id")
    script = script.replace("query => <text>", "query => 'select 1'")
    script = script.replace("p_table => <text>, p_filter => <text>", "p_table => 'jobs', p_filter => 'true'")
    script = script.replace("tbl => <text>", "tbl => 'gpu_budget'").replace("field => <text>", "field => 'amount'")
    script = script.replace("<uuid[]>", f"array['{OTHER}'::uuid]")
    script = re.sub(r"<([a-z ]+)>", lambda found: VALUES.get(found[1], "5"), script)
    return [statement for statement in re.split(r";\s*", script) if statement]


@pytest.mark.parametrize("case", cases(*HARMFUL))
def test_what_is_open_is_found_tried_and_mended(
    project: psycopg.Connection[Any], diagnosis: Diagnosis, case: Case
) -> None:
    project.execute(case.sql.encode())
    found = of(diagnosis)
    assert {finding["code"] for finding in found} == case.codes, found
    for finding in found:
        if finding["how_to_try"].startswith("begin; "):
            run(project, finding["how_to_try"])
    told = [finding for finding in found if re.match("revoke|alter", finding["how_to_mend"])]
    for finding in told:
        project.execute(finding["how_to_mend"].encode())
    left = {(finding["code"], finding["object"]) for finding in of(diagnosis)}
    assert not left & {(finding["code"], finding["object"]) for finding in told}


def test_a_big_project_is_looked_at_in_three_seconds(host: psycopg.Connection[Any]) -> None:
    """500 functions of thirty statements and 300 tables: seconds of one core, whatever else the machine does."""
    columns = ("title text, settings jsonb", "credits integer default 0, plan text, settings jsonb")
    for nth in range(300):
        host.execute(
            f"create table t{nth} (id uuid primary key, user_id uuid, {columns[nth % 6 == 0]}, a int);"
            f"alter table t{nth} enable row level security;"
            f"create policy own on t{nth} using (user_id = auth.uid())".encode()
        )
    for nth in range(500):
        lines = "".join(f"perform 1 from public.t{(nth * 7 + k) % 300} where a > {k}; -- line {k}\n" for k in range(30))
        set_clause = "credits = credits - p_amount" if nth % 6 == 0 else "a = a + 1"
        host.execute(
            f"create function f{nth}(p_id uuid, p_amount int) returns void language plpgsql security definer as $$\n"
            f"begin {lines} update public.t{nth % 300} set {set_clause} where user_id = p_id; end $$".encode()
        )
    times = []
    for _ in range(3):
        started = process_time()
        told = examine(host)
        times.append(process_time() - started)
    assert told.functions == 500
    assert {"amount_not_checked", "users_write_balance"} <= {finding.code for finding in told.findings}
    assert min(times) < 3
