"""Every function of the exposed schema, by everybody, with good and hostile arguments: made from the catalog."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.attacks.attack import Attack, code_of, nothing_of_others, those_of
from tests.attacks.attack import attack as add
from tests.attacks.catalog import GOOD, HOSTILE, USER_FUNCTIONS, Function, as_query, functions
from tests.attacks.world import ACTORS, SIGNED_IN, TOKENLESS, World, changed, state, uuids_of
from tests.support.edge import EDGE, OF_TEAMS

SETTINGS = {"diagnose", "verify_checklist"}
"""These answer for the whole system and take their time; nobody else's turn to call them is waited for."""


def call(world: World, actor: str, name: str, arguments: dict[str, Any], method: str = "POST") -> httpx.Response:
    token = world.token(actor)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    filled = world.fill(arguments)
    payload: dict[str, Any] = {"json": filled} if method == "POST" else {"params": as_query(filled)}
    return world.http.request(method, f"{world.api.direct_url}/rpc/{name}", headers=headers, **payload)


def good(function: Function, ids: dict[str, str] | None = None) -> dict[str, Any]:
    """Arguments without a default, each with a value that its type allows; or all for which there is one in ``ids``."""
    ids = ids or {}
    required = list(function.arguments)[: function.required]
    return {
        name: ids.get(name, GOOD[kind]) for name, kind in function.arguments.items() if name in required or name in ids
    }


def victim(world: World) -> dict[str, str]:
    """A test account with a spend, a hold and a grant, by the names that arguments have."""
    database = world.database
    user = database.new_user()
    database.call("change_plan", user, "elite")
    database.call("mark_test_account", user)
    return {
        "p_user_id": str(user),
        "p_operation_id": database.call("consume_credits", user, "message", 5)["operation_id"],
        "p_reservation_id": database.call("reserve_credits", user, "message", 5)["reservation_id"],
        "p_grant_id": database.call("grant_credits", user, "message", 5)["grant_id"],
        "p_plan_id": "pro",
        "p_status": "past_due",
        "p_time_zone": "Europe/Paris",
        "p_now": "2055-01-01T00:00:00Z",
        "p_source": "promotion",
    }


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD"])
@pytest.mark.parametrize("actor", [actor for actor in ACTORS if actor != "service"])
def test_only_the_service_role_calls_what_is_not_for_users(world: World, actor: str, method: str) -> None:
    before = state(world.database)
    wrong = {}
    for function in functions(world.database):
        if function.name in USER_FUNCTIONS and actor not in ("anon", *TOKENLESS):
            continue
        answer = call(world, actor, function.name, good(function), method)
        refused = 401 if actor in ("anon", *TOKENLESS) else 403
        if method == "HEAD" and function.reads_only and answer.status_code == 200 and not answer.content:
            # Nobody reads what it would answer, so Postgres never runs it, nor asks who may.
            continue
        if answer.status_code != refused or (
            method != "HEAD" and actor not in TOKENLESS and code_of(answer) != "42501"
        ):
            wrong[function.name] = f"{answer.status_code} {answer.text[:200]}"
    assert not wrong, json.dumps(wrong, indent=2)
    assert not changed(before, state(world.database))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_get_request_changes_anything(world: World, method: str) -> None:
    """A link that somebody follows, a prefetch, a crawler: with the secret key, and still nothing is spent."""
    before = state(world.database)
    wrong = {}
    for function in functions(world.database):
        if function.name in SETTINGS:
            continue
        answer = call(world, "service", function.name, good(function), method)
        if answer.status_code >= 500:
            wrong[function.name] = f"{answer.status_code} {answer.text[:200]}"
    assert not wrong, json.dumps(wrong, indent=2)
    assert not changed(before, state(world.database))


@pytest.mark.parametrize("whose", ["user", "nobody", "workspace"])
@pytest.mark.parametrize("actor", ["other", "stranger"])
def test_what_users_may_call_answers_for_themselves_alone(world: World, actor: str, whose: str) -> None:
    """And for somebody who exists as for somebody who does not: the answers are the same but for the id asked for."""
    for function in functions(world.database):
        if function.name not in USER_FUNCTIONS or not EDGE[function.name].of_an_account:
            continue
        takes_workspace = EDGE[function.name].takes("workspace_id")
        more = {name: value for name, value in good(function).items() if name in required_of(function)}
        if "p_user_id" in good(function):
            more["p_user_id"] = f"{{{actor}}}"
        for arguments in (
            {"p_user_id": f"{{{whose}}}"},
            {"p_workspace_id": f"{{{whose}}}"},
            {"p_user_id": f"{{{whose}}}", "p_workspace_id": "{workspace}"},
        ):
            if "p_workspace_id" in arguments and not takes_workspace:
                continue
            if function.name in OF_TEAMS and "p_workspace_id" not in arguments:
                continue
            answer = call(world, actor, function.name, more | arguments)
            unknown = call(world, actor, function.name, more | {name: "{nobody}" for name in arguments})
            assert answer.status_code == 404, f"{function.name}: {answer.text}"
            assert code_of(answer) == "account_not_found", f"{function.name}: {answer.text}"
            assert shape(answer) == shape(unknown)


def required_of(function: Function) -> set[str]:
    """What it has to be told beside whose account."""
    return {f"p_{a.name}" for a in EDGE[function.name].arguments if a.required} - {"p_user_id", "p_workspace_id"}


def shape(answer: httpx.Response) -> Any:
    """An answer without the ids in it."""
    body = answer.json()
    return {**body, "details": sorted(json.loads(body["details"]))}, answer.status_code


@pytest.mark.parametrize("actor", SIGNED_IN)
def test_what_users_may_call_names_nobody_else(world: World, actor: str) -> None:
    # Who asks about an operation names it, and somebody else's is not found.
    for name in sorted(
        name
        for name in USER_FUNCTIONS
        if EDGE[name].takes("workspace_id")
        and not EDGE[name].takes("operation_id")
        and name not in OF_TEAMS
        # What changes something is told what.
        and not any(a.required for a in EDGE[name].arguments if a.name != "user_id")
    ):
        answer = call(world, actor, name, {})
        assert answer.status_code == 200, f"{name}: {answer.text}"
        assert uuids_of(answer.json()) == {world.ids[actor]}


def test_no_hostile_argument_breaks_a_function_or_the_books(world: World) -> None:
    """One argument at a time, the others good, by the service role: refused in so many words, and nothing half done."""
    wrong = {}
    with httpx.Client(timeout=30, headers={"authorization": f"Bearer {world.token('service')}"}) as http:
        for function in functions(world.database):
            if function.name in SETTINGS:
                continue
            ids = victim(world)
            for argument, kind in function.arguments.items():
                before, all_refused = state(world.database), True
                for value in HOSTILE[kind]:
                    given = world.fill(good(function, ids) | {argument: value})
                    answer = http.post(f"{world.api.direct_url}/rpc/{function.name}", json=given)
                    if answer.status_code in (200, 402):
                        all_refused = False
                    elif not (answer.is_client_error and is_told(answer)):
                        wrong[f"{function.name}({argument} => {str(value)[:40]})"] = answer.text[:300]
                if all_refused and changed(before, state(world.database)):
                    wrong[f"{function.name}({argument} => …)"] = "all refused, and something has changed"
    world.database.verify()
    assert not wrong, json.dumps(wrong, indent=2)


def is_told(answer: httpx.Response) -> bool:
    """Refused by a slug of ours, by PostgREST, or by Postgres as a value that its type cannot have."""
    return str(answer.json()["code"]).startswith(("PT", "PGRST", "22"))


@those_of
def family() -> None:
    message = {"p_user_id": "{user}", "p_credit_type": "message"}
    for actor, status in (("anon", 401), ("user", 403), ("colleague", 403), ("forged", 401), ("expired", 401)):
        add(f"a spend by {actor}", actor, "POST /rpc/consume_credits", status, body=message)
        add(f"a gift by {actor}", actor, "POST /rpc/grant_credits", status, body=message | {"p_amount": 10**6})
    for name, body in {
        "reset_monthly_credits": {},
        "change_plan": {"p_plan_id": "elite"},
        "refund_credits": {"p_operation_id": "{operation_of_user}"},
        "release_credits": {"p_reservation_id": "{reservation_of_user}"},
        "unfreeze_account": {},
        "set_test_clock": {"p_now": "2055-01-01T00:00:00Z"},
        "forget_account": {},
        "export_account": {},
    }.items():
        add(f"{name} by the user who would gain by it", "user", f"POST /rpc/{name}", 403, "42501",
            body={"p_user_id": "{user}"} | body)  # fmt: skip
    add("a stranger's hold, captured", "service", "POST /rpc/capture_credits", 404, "reservation_not_found",
        body={"p_user_id": "{other}", "p_reservation_id": "{reservation_of_user}"})  # fmt: skip
    add("a stranger's hold, released", "service", "POST /rpc/release_credits", 404, "reservation_not_found",
        body={"p_user_id": "{other}", "p_reservation_id": "{reservation_of_user}"})  # fmt: skip
    add("a stranger's spend, refunded to oneself", "service", "POST /rpc/refund_credits", 404, "operation_not_found",
        body={"p_user_id": "{other}", "p_operation_id": "{operation_of_user}"})  # fmt: skip
    add("a refund of more than was spent", "service", "POST /rpc/refund_credits", 422, "invalid_amount",
        body={"p_user_id": "{user}", "p_operation_id": "{operation_of_user}", "p_amount": 2})  # fmt: skip
    add("a stranger's grant, revoked", "service", "POST /rpc/revoke_grant", 422, "invalid_argument",
        body={"p_user_id": "{other}", "p_grant_id": "{grant_of_user}"})  # fmt: skip
    add("a capture of more than all there is", "service", "POST /rpc/capture_credits", 422, "invalid_amount",
        body={"p_user_id": "{user}", "p_reservation_id": "{reservation_of_user}", "p_amount": 2**60})  # fmt: skip
    add("another request under a used key", "service", "POST /rpc/consume_credits", 409, "idempotency_conflict",
        body=message | {"p_amount": 2, "p_idempotency_key": "key of user"})  # fmt: skip
    add("a used key with another text", "service", "POST /rpc/consume_credits", 409, "idempotency_conflict",
        body=message | {"p_idempotency_key": "key of user"})  # fmt: skip
    add("a spend from a workspace by an outsider", "service", "POST /rpc/consume_credits", 404, "account_not_found",
        body={"p_user_id": "{other}", "p_credit_type": "message", "p_workspace_id": "{workspace}"})  # fmt: skip
    add("a workspace that passes for a person", "service", "POST /rpc/consume_credits", 404, "account_not_found",
        body={"p_user_id": "{workspace}", "p_credit_type": "message"})  # fmt: skip
    add("a person who passes for a workspace", "service", "POST /rpc/consume_credits", 404, "account_not_found",
        body={"p_user_id": "{other}", "p_credit_type": "message", "p_workspace_id": "{user}"})  # fmt: skip
    add("a spend for somebody who is nobody", "service", "POST /rpc/consume_credits", 404, "account_not_found",
        body={"p_user_id": str(uuid4()), "p_credit_type": "message"})  # fmt: skip
    add("the plan's allowance as a gift", "service", "POST /rpc/grant_credits", 422, "invalid_argument",
        body=message | {"p_amount": 5, "p_source": "plan"})  # fmt: skip
    add("a clock for a real account", "service", "POST /rpc/set_test_clock", 409, "not_a_test_account",
        body={"p_user_id": "{user}", "p_now": "2055-01-01T00:00:00Z"})  # fmt: skip
    add("an import from the users of Auth", "service", "POST /rpc/import_balances", 422, "invalid_argument",
        body={"p_table": "auth.users", "p_user_column": "id", "p_balance_column": "phone",
              "p_credit_type": "message"})  # fmt: skip
    add("an import from a table of the core", "service", "POST /rpc/import_balances", 422, "invalid_argument",
        body={"p_table": "credits.balances", "p_user_column": "account_id", "p_balance_column": "balance",
              "p_credit_type": "message"})  # fmt: skip
    add("an import from a query", "service", "POST /rpc/import_balances", 422, "invalid_argument",
        body={"p_table": "(select 1)", "p_user_column": "id", "p_balance_column": "id",
              "p_credit_type": "message"})  # fmt: skip
    add("a credit type out of another schema", "service", "POST /rpc/consume_credits", 404, "unknown_credit_type",
        body={"p_user_id": "{user}", "p_credit_type": "credits.message"})  # fmt: skip
    add("an operation of somebody else", "other", "POST /rpc/explain_operation", 404, "operation_not_found",
        body={"p_operation_id": "{operation_of_user}"})  # fmt: skip
    add("an operation of a workspace by an outsider", "other", "POST /rpc/explain_operation", 404, "account_not_found",
        body={"p_operation_id": "{operation_of_team}", "p_workspace_id": "{workspace}"})  # fmt: skip
    add("an operation of a colleague's own", "colleague", "POST /rpc/explain_operation", 404, "operation_not_found",
        body={"p_operation_id": "{operation_of_user}", "p_workspace_id": "{workspace}"})  # fmt: skip
    add("the whole history at once", "user", "POST /rpc/get_credit_history", 422, "invalid_argument",
        body={"p_limit": 10**6})  # fmt: skip
    add("one's own summary", "other", "POST /rpc/get_credit_summary", 200, body={}, sees=nothing_of_others)
    for function in ("consume", "open_account", "raise_error", "readable_ids", "read_summary", "import_rows"):
        add(f"the core's {function}", "service", f"POST /rpc/{function}", 404, "PGRST202", body={})
    for function in ("set_config", "pg_sleep", "pg_read_file", "dblink", "query_to_xml", "lo_import", "version"):
        add(f"Postgres' own {function}", "service", f"POST /rpc/{function}", 404, "PGRST202", body={})


@family
def test_a_function_refuses(world: World, attack: Attack) -> None:
    attack.run(world)
