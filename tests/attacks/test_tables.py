"""Every table and view of the exposed schema, by everybody, in every way: made from the catalog."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.attacks.attack import Attack, empty, nothing_of_others, those_of
from tests.attacks.attack import attack as add
from tests.attacks.catalog import HOST_TABLES, WORLD_READABLE, tables
from tests.attacks.world import ACTORS, TOKENLESS, World, changed, state, uuids_of

UPSERT = {"prefer": "resolution=merge-duplicates,return=representation"}
IGNORE = {"prefer": "resolution=ignore-duplicates"}


def send(world: World, actor: str, method: str, path: str, **options: Any) -> httpx.Response:
    token = world.token(actor)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return world.http.request(
        method, world.api.direct_url + path, headers=headers | options.pop("headers", {}), **options
    )


@pytest.mark.parametrize("actor", ACTORS)
def test_everybody_reads_exactly_what_is_theirs(world: World, actor: str) -> None:
    wrong = {}
    for table in tables(world.database):
        answer = send(world, actor, "GET", f"/{table}")
        if actor in TOKENLESS or (actor == "anon" and table not in WORLD_READABLE):
            fine = answer.status_code == 401
        else:
            shown = uuids_of([{"account_id": row.get("account_id", row.get("owner_id"))} for row in answer.json()])
            fine = answer.status_code == 200 and (actor == "service" or shown <= world.accounts_of(actor))
        if not fine:
            wrong[table] = answer.text[:200]
    assert not wrong, json.dumps(wrong, indent=2)


@pytest.mark.parametrize("owner", ["user", "other", "nobody"])
@pytest.mark.parametrize("actor", ["other", "colleague", "stranger"])
def test_asking_for_somebody_elses_rows_by_every_column_finds_none(world: World, actor: str, owner: str) -> None:
    """Filters, orders and exact counts of what a user may not see are those of what is not there."""
    if actor == owner:
        return
    found = {}
    for table, columns in tables(world.database).items():
        if table in WORLD_READABLE:
            continue
        for column in columns:
            if not column.endswith("_id"):
                continue
            answer = send(
                world, actor, "GET", f"/{table}?{column}=eq.{world.ids[owner]}", headers={"prefer": "count=exact"}
            )
            mine = uuids_of(answer.json()) if answer.status_code == 200 else set()
            if answer.status_code == 200 and answer.json() and not mine & world.accounts_of(actor):
                found[f"{table}.{column}"] = answer.text[:200]
    assert not found


@pytest.mark.parametrize("actor", ACTORS)
def test_nobody_writes_a_table(world: World, actor: str) -> None:
    before = state(world.database)
    wrong = {}
    for table, columns in tables(world.database).items():
        if table in HOST_TABLES:
            continue
        owner = next((column for column in columns if column in ("account_id", "plan_id", "id")), columns[0])
        body = {owner: world.ids["user"]}
        for name, method, path, headers in (
            ("insert", "POST", f"/{table}", {}),
            ("insert many", "POST", f"/{table}?columns={owner}", {}),
            ("upsert", "POST", f"/{table}", UPSERT),
            ("upsert, else nothing", "POST", f"/{table}", IGNORE),
            ("put", "PUT", f"/{table}?{owner}=eq.{world.ids['user']}", {}),
            ("update", "PATCH", f"/{table}?{owner}=eq.{world.ids['user']}", {}),
            ("update all", "PATCH", f"/{table}", {}),
            ("delete", "DELETE", f"/{table}?{owner}=eq.{world.ids['user']}", {}),
            ("delete all", "DELETE", f"/{table}", {"prefer": "return=representation"}),
        ):
            answer = send(world, actor, method, path, headers=headers, json=None if method == "DELETE" else body)
            refused = {401} if actor in ("anon", *TOKENLESS) else {403}
            if name == "put":
                # Where the address is not the whole key, or the relation has none, PostgREST says that first.
                refused |= {400, 405}
            if answer.status_code not in refused:
                wrong[f"{name} {table}"] = f"{answer.status_code} {answer.text[:200]}"
    assert not wrong, json.dumps(wrong, indent=2)
    assert not changed(before, state(world.database))


def own_count(world: World, answer: httpx.Response) -> bool:
    """What is counted is what one may read."""
    return bool(answer.headers["content-range"].endswith("/0"))


@those_of
def family() -> None:
    for table in ("credit_transactions", "credit_grants", "credit_reservations", "usage", "subscriptions"):
        add(f"another user's {table}", "other", f"GET /{table}?account_id=eq.{{user}}", 200, sees=empty)
        add(f"a count of another user's {table}", "other", f"GET /{table}?account_id=eq.{{user}}", 200, sees=own_count,
            headers={"prefer": "count=exact"})  # fmt: skip
        add(f"a workspace's {table} by an outsider", "other", f"GET /{table}?account_id=eq.{{workspace}}", 200,
            sees=empty)  # fmt: skip
    add("another user's balances", "other", "GET /credit_balances?user_id=eq.{user}", 200, sees=empty)
    add("a colleague's own balances", "colleague", "GET /credit_balances?user_id=eq.{user}", 200, sees=empty)
    add("a workspace's members by an outsider", "other", "GET /credit_workspace_members", 200, sees=empty)
    add(
        "members embedded in a workspace",
        "other",
        "GET /credit_workspaces?select=*,credit_workspace_members(*)",
        200,
        sees=empty,
    )
    inner = "GET /credit_workspace_members?select=*,credit_workspaces!inner(*)"
    add("a workspace embedded in its members", "other", inner, 200,
        sees=empty)  # fmt: skip
    add("balances embedded in plans", "anon", "GET /plans?select=id,subscriptions(account_id)", 400, "PGRST200")
    add("grants embedded in the ledger", "other", "GET /credit_transactions?select=*,credit_grants(*)", 400, "PGRST200")
    add("an or that takes the filter back", "other", "GET /usage?account_id=eq.{other}&or=(id.not.is.null)", 200,
        sees=nothing_of_others)  # fmt: skip
    add("a negated filter", "other", "GET /usage?account_id=not.eq.{other}", 200, sees=empty)
    add("a sum over everybody", "other", "GET /credit_transactions?select=amount.sum()", 400, "PGRST123")
    add("a cast to a type that tells", "other", "GET /credit_grants?select=account_id::regclass", 400, "42846")
    add("the system columns", "other", "GET /credit_grants?select=tableoid,xmin&account_id=eq.{user}", 200, sees=empty)
    add("the plan of a query", "user", "GET /usage", 415, "PGRST107",
        headers={"accept": "application/vnd.pgrst.plan+json"})  # fmt: skip
    add("SQL in a filter", "user", "GET /usage?account_id=eq.x';drop table plans;--", 400, "22P02")
    add("SQL in a column", "user", "GET /usage?select=id,(drop table plans)", 400, "PGRST100")
    add("SQL in an order", "user", "GET /usage?order=(select 1)", 400, "PGRST100")
    add("a regular expression that never ends", "user", "GET /plans?id=match.^(a*)*$", 200, sees=empty)
    add("a page before the first", "user", "GET /usage?limit=-1", 416, "PGRST103")
    add("a page past all numbers", "user", "GET /usage?limit=99999999999999999999", 400, "22003")
    add("a range that runs backwards", "user", "GET /usage", 416, "PGRST103", headers={"range": "5-1"})
    add("one's own balance, raised", "user", "PATCH /credit_grants?account_id=eq.{user}", 403, "42501",
        body={"remaining": 10**6})  # fmt: skip
    add("one's own plan, raised", "user", "PATCH /subscriptions?account_id=eq.{user}", 403, "42501",
        body={"plan_id": "elite"})  # fmt: skip
    add("a grant of one's own making", "user", "POST /credit_grants", 403, "42501", headers=UPSERT,
        body={"account_id": "{user}", "credit_type": "message", "amount": 10**6, "remaining": 10**6})  # fmt: skip
    add("membership of somebody's workspace", "other", "POST /credit_workspace_members", 403, "42501", headers=UPSERT,
        body={"account_id": "{workspace}", "user_id": "{other}", "role": "owner"})  # fmt: skip
    add("a member made an owner", "colleague", "PATCH /credit_workspace_members?user_id=eq.{colleague}", 403, "42501",
        body={"role": "owner"})  # fmt: skip
    add("a larger allowance for a plan", "service", "PATCH /plan_limits?plan_id=eq.free", 403, "42501",
        body={"allowance": 10**6})  # fmt: skip
    add("the ledger rewritten by the service role", "service", "PATCH /credit_transactions?amount=lt.0", 403, "42501",
        body={"amount": 0})  # fmt: skip
    add("the ledger emptied by the service role", "service", "DELETE /credit_transactions", 403, "42501")
    add("a denial taken off the record", "user", "DELETE /usage?account_id=eq.{user}", 403, "42501")
    add("somebody's project renamed", "other", "PATCH /projects?id=eq.{project_of_user}", 200, sees=empty,
        body={"name": "mine"}, headers={"prefer": "return=representation"})  # fmt: skip
    add("somebody's project deleted", "other", "DELETE /projects?id=eq.{project_of_user}", 200, sees=empty,
        headers={"prefer": "return=representation"})  # fmt: skip
    add("somebody's project taken over", "other", "POST /projects", 403, "42501", headers=UPSERT,
        body={"id": "{project_of_user}", "owner_id": "{other}", "name": "mine"})  # fmt: skip
    add("a project that somebody else pays for", "other", "POST /projects", 403, "42501",
        body={"owner_id": "{user}", "name": "yours"})  # fmt: skip
    add("a project given away", "user", "PATCH /projects?id=eq.{project_of_user}", 403, "42501",
        body={"owner_id": "{other}"})  # fmt: skip
    add("a project that nobody pays for", "user", "POST /projects", 403, "42501", body={"owner_id": None, "name": "x"})


@family
def test_a_table_gives_nothing_away(world: World, attack: Attack) -> None:
    attack.run(world)
