"""GET /api/usage: what the database says, put so that a page can show it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.support.database import Database
from tests.support.timed import Timed
from tests.web.support import bearer, calling, make_app, problem


async def usage(http: httpx.AsyncClient, user: UUID, **query: Any) -> Any:
    answer = await http.get("/api/usage", params=query, headers=bearer(user))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_says_what_the_summary_says(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "message", 3, "Three of them")

    seen = await usage(http, user)

    summary = database.call("get_credit_summary", user)
    assert [balance["remaining"] for balance in seen["balances"]] == [
        balance["remaining"] for balance in summary["balances"]
    ]
    assert seen["plan"]["id"] == "free"
    end = datetime.fromisoformat(seen["period"]["end"])
    assert end == datetime.fromisoformat(summary["period_end"])
    assert seen["upgrade_url"] == "/pricing"
    assert seen["can_upgrade"] is True


@pytest.mark.parametrize(("spent", "level"), [(7, None), (8, "low"), (9, "low"), (10, "exhausted")])
async def test_warns_from_80_percent_and_says_when_it_is_over(
    http: httpx.AsyncClient, database: Database, user: UUID, spent: int, level: str | None
) -> None:
    database.call("consume_credits", user, "message", spent)

    warnings = (await usage(http, user))["warnings"]

    assert [warning["level"] for warning in warnings] == ([level] if level else [])
    assert all(warning["upgrade_url"] == "/pricing" for warning in warnings)


async def test_the_history_says_what_each_operation_cost(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    database.call("grant_credits", user, "message", 5, source="promotion", description="welcome")
    spent = database.call("consume_credits", user, "message", 7, "out of two grants")
    database.call("consume_credits", user, "message", 99, "too much")

    refused, line, granted, *_ = (await usage(http, user))["operations"]

    assert (refused["title"], refused["refused"], refused["amount"]) == ("Too much", True, None)
    assert (line["title"], line["amount"], line["balance_after"]) == ("Out of two grants", -7, 8)
    assert (granted["title"], granted["amount"]) == ("Welcome", 5)
    assert line["operation_id"] == spent["operation_id"]
    explained = await http.get(f"/api/usage/operations/{spent['operation_id']}", headers=bearer(user))
    assert [entry["source"] for entry in explained.json()["entries"]] == ["promotion", "plan"]


async def test_somebody_elses_operation_is_not_found(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    spent = database.call("consume_credits", database.new_user(), "message", 1)
    for operation in (spent["operation_id"], uuid4()):
        problem(await http.get(f"/api/usage/operations/{operation}", headers=bearer(user)), 404, "operation_not_found")


async def test_older_operations_come_page_by_page(http: httpx.AsyncClient, database: Database) -> None:
    user = database.new_user()
    for number in range(8):
        database.call("consume_credits", user, "message", 1, f"number {number}")
    titles: list[str] = []
    cursor = None
    while True:
        query = {"limit": 5} | ({"cursor": cursor} if cursor else {})
        page = (await http.get("/api/usage/operations", params=query, headers=bearer(user))).json()
        titles += [line["title"] for line in page["operations"]]
        if not page["has_older"]:
            break
        cursor = page["next_cursor"]

    assert titles == [f"Number {number}" for number in reversed(range(8))] + ["Plan allowance"] * 3


async def test_what_shares_an_instant_comes_once_whole_and_nothing_is_hidden(
    http: httpx.AsyncClient, database: Database
) -> None:
    user = Timed(database, plan="starter")
    for number in range(4):
        user.call("grant_credits", "message", 1, description=f"grant {number}")
        user.call("consume_credits", "message", 999, f"refused {number}")
    user.call("consume_credits", "message", 9, "out of all grants")
    user.at(user.period_end)
    user.call("consume_credits", "message", 1, "after the renewal")
    lines: list[dict[str, Any]] = []
    cursor = None
    for _ in range(50):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await http.get("/api/usage/operations", params=query, headers=bearer(user.id))).json()
        lines += page["operations"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    ledger = {(row["operation_id"], row["kind"], row["credit_type"]): 0 for row in all_entries(user)}
    for row in all_entries(user):
        ledger[row["operation_id"], row["kind"], row["credit_type"]] += row["amount"]
    spent = {
        (line["operation_id"], line["kind"], line["credit_type"]): line["amount"]
        for line in lines
        if not line["refused"]
    }
    assert spent == ledger
    assert len(lines) == len(ledger) + 4
    assert "Plan period ended" in {line["title"] for line in lines}


async def test_many_refusals_between_two_lines_stay_between_them(http: httpx.AsyncClient, database: Database) -> None:
    user = Timed(database)
    told = ["first", *["no"] * 9, "second", "no", "third", *["no"] * 4]
    for number, what in enumerate(told):
        user.wait(seconds=1)
        user.call("consume_credits", "message", 99 if what == "no" else 1, f"{number} {what}")
    for limit in (1, 3, 5):
        titles, cursor = [], None
        for _ in range(50):
            query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
            page = (await http.get("/api/usage/operations", params=query, headers=bearer(user.id))).json()
            titles += [line["title"] for line in page["operations"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert titles[:-3] == [f"{number} {what}" for number, what in reversed(list(enumerate(told)))], limit
        assert titles[-3:] == ["Plan allowance"] * 3


def all_entries(user: Timed) -> list[dict[str, Any]]:
    return [row for t in ("message", "integration", "project") for row in user.entries(credit_type=t)]


async def test_a_cursor_of_ones_own_making_is_refused(http: httpx.AsyncClient, user: UUID) -> None:
    for cursor in ("", "nonsense", "bnVsbA==", "W10=", "WzEsIDIsIDMsIDRd"):
        answer = await http.get("/api/usage/operations", params={"cursor": cursor}, headers=bearer(user))
        problem(answer, 422, "invalid_argument")


async def test_days_are_those_of_the_viewer(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    database.run("select public.mark_test_account(%s)", user)
    # 23:30 in UTC is the next day in Berlin already.
    late = datetime(datetime.now(UTC).year + 1, 3, 10, 23, 30, tzinfo=UTC)
    database.call("set_test_clock", user, now=late)
    database.call("consume_credits", user, "message", 4)

    series = {zone: (await usage(http, user, days=3, time_zone=zone))["series"] for zone in ("UTC", "Europe/Berlin")}

    year = late.year
    assert series["UTC"]["days"] == [f"{year}-03-08", f"{year}-03-09", f"{year}-03-10"]
    assert series["UTC"]["credits"]["message"] == [0, 0, 4]
    assert series["Europe/Berlin"]["days"] == [f"{year}-03-09", f"{year}-03-10", f"{year}-03-11"]
    assert series["Europe/Berlin"]["credits"]["message"] == [0, 0, 4]


async def test_an_unknown_time_zone_is_refused(http: httpx.AsyncClient, user: UUID) -> None:
    for zone, code in {
        "Mars/Olympus": "invalid_argument",
        "../../etc/passwd": "invalid_request",
        "UTC'; drop table usage; --": "invalid_request",
    }.items():
        answer = await http.get("/api/usage", params={"time_zone": zone}, headers=bearer(user))
        problem(answer, 422, code)


async def test_nothing_new_is_a_304(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    first = await http.get("/api/usage", headers=bearer(user))
    headers = bearer(user) | {"if-none-match": first.headers["etag"]}

    again = await http.get("/api/usage", headers=headers)
    assert again.status_code == 304
    assert again.content == b""

    database.call("consume_credits", user, "message", 1)
    assert (await http.get("/api/usage", headers=headers)).status_code == 200


async def test_the_plans_are_the_rows_of_the_table(http: httpx.AsyncClient, database: Database) -> None:
    plans = (await http.get("/api/plans")).json()

    assert [plan["id"] for plan in plans] == [row[0] for row in database.query("select id from plans order by rank")]
    free = {limit["credit_type"]: limit["allowance"] for limit in plans[0]["limits"]}
    assert free == {"message": 10, "integration": 100, "project": 3}


async def test_other_sites_may_read_usage_when_they_are_named(database: Database, user: UUID) -> None:
    async with calling(make_app(database, embed_origins=["https://shop.example"])) as client:
        for origin, allowed in (("https://shop.example", "https://shop.example"), ("https://evil.example", None)):
            answer = await client.get("/api/usage", headers=bearer(user) | {"origin": origin})
            assert answer.headers.get("access-control-allow-origin") == allowed
            wish = {"origin": origin, "access-control-request-method": "POST"}
            asked = await client.options("/api/generate-daytona", headers=wish)
            assert asked.status_code == 400, "spending from another site's page"
            assert "access-control-allow-credentials" not in answer.headers
