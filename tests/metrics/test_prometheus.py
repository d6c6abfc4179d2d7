"""What an operator sees: calls with their outcomes and durations, queues, and whether there is an answer at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from sonas_supabase import AsyncCreditsClient, CreditsClient, InsufficientCredits, InvalidArgument
from sonas_supabase.metrics import CallMetrics, metrics_app
from sonas_supabase.observe import tell_uncollected
from tests.support.database import Database
from tests.support.timed import Timed

OPERATIONS = Path(__file__).resolve().parents[2] / "docs/operations"


@pytest.fixture
def client(database: Database) -> Iterator[CreditsClient]:
    with CreditsClient.from_url(database.url) as made:
        yield made


async def get(app: Starlette, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        return await http.get("/metrics", headers=headers)


async def scrape(app: Starlette, **headers: str) -> dict[str, float]:
    """Every sample by its name and labels."""
    response = await get(app, **headers)
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_calls_are_counted_with_their_outcome(client: CreditsClient, database: Database, user: UUID) -> None:
    app = metrics_app(client)
    client.consume_credits(user, "message", 4)
    async with AsyncCreditsClient.from_url(database.url) as other:
        await other.consume_credits(user, "message", 6)
        with pytest.raises(InsufficientCredits):
            await other.consume_credits(user, "message", 1)
    with pytest.raises(InvalidArgument):
        client.metrics_usage(by="shoe size")
    found = await scrape(app)
    assert found["sonas_calls_total consume_credits ok"] == 2
    assert found["sonas_calls_total consume_credits insufficient_credits"] == 1
    assert found["sonas_calls_total metrics_usage invalid_argument"] == 1
    assert found["sonas_denials_total insufficient_credits message"] == 1
    assert found["sonas_call_seconds_count consume_credits"] == 3
    assert 0 < found["sonas_call_seconds_sum consume_credits"] < 30


async def test_queues_and_lags_are_those_of_the_database(client: CreditsClient, own_database: Database) -> None:
    database = own_database
    with CreditsClient.from_url(database.url) as client:
        app = metrics_app(client)
        user = database.new_user()
        client.consume_credits(user, "message", 1)
        client.reserve_credits(user, "message", 2)
        assert (await scrape(app))["sonas_due_accounts"] == 0
        database.run("update credits.balances set due_at = now() - interval '90 seconds' where account_id = %s", user)
        database.run("update public.credit_reservations set created_at = '2020-01-01', expires_at = '2020-01-02'")
        test_account = Timed(database)
        test_account.call("reserve_credits", "message", 1, ttl_seconds=1)
        test_account.wait(days=50)
        found = await scrape(app)
        assert (found["sonas_up"], found["sonas_accounts"], found["sonas_due_accounts"]) == (1, 1, 1)
        assert 90 <= found["sonas_renewal_lag_seconds"] < 180
        assert (found["sonas_open_reservations"], found["sonas_overdue_reservations"]) == (1, 1)
        assert (found["sonas_recent_operations message"], found["sonas_recent_denials message"]) == (1, 0)
        assert found["sonas_unread_balances"] == 3
        assert "sonas_roll_up_age_seconds" not in found
        client.roll_up_metrics()
        assert (await scrape(app))["sonas_unread_balances"] == 0
        assert (await scrape(app))["sonas_roll_up_age_seconds"] < 60


async def test_a_database_that_is_gone_is_said_and_not_thrown() -> None:
    with CreditsClient.from_url("postgresql://nobody@127.0.0.1:1/none", timeout=0.2, retries=0) as client:
        found = await scrape(metrics_app(client))
    assert found["sonas_up"] == 0
    assert "sonas_accounts" not in found


async def test_a_database_that_hangs_is_said_in_time_and_asked_once(own_database: Database) -> None:
    waiting = "select count(*) from pg_stat_activity where query ~ 'metrics_health' and wait_event_type = 'Lock'"
    with CreditsClient.from_url(own_database.url) as client, own_database.connect(autocommit=False) as other:
        app = metrics_app(client, patience=0.2)
        other.execute("lock table credits.accounts in access exclusive mode")
        assert [(await scrape(app))["sonas_up"] for _ in range(3)] == [0, 0, 0]
        assert own_database.value(waiting) == 1
        other.rollback()
        # Each scrape waits for an answer as long as it may.
        assert 1 in [(await scrape(app))["sonas_up"] for _ in range(10)]


async def test_a_token_keeps_others_out(client: CreditsClient) -> None:
    app = metrics_app(client, token="a secret")
    refused = [await get(app), await get(app, authorization="Bearer a guess")]
    assert {response.is_client_error for response in refused} == {True}
    assert not any("sonas_" in response.text for response in refused)
    assert (await scrape(app, authorization="Bearer a secret"))["sonas_up"] == 1


def test_counting_ends_when_told_to(client: CreditsClient, user: UUID) -> None:
    registry = CollectorRegistry()
    metrics = CallMetrics(registry)
    client.consume_credits(user, "message", 1)
    metrics.close()
    client.consume_credits(user, "message", 1)
    counted = registry.get_sample_value("sonas_calls_total", {"function": "consume_credits", "outcome": "ok"})
    assert counted == 1


async def test_the_dashboard_the_alerts_and_the_page_name_what_there_is(client: CreditsClient, user: UUID) -> None:
    app = metrics_app(client)
    client.roll_up_metrics()
    client.consume_credits(user, "message", 10)
    with pytest.raises(InsufficientCredits):
        client.consume_credits(user, "message", 1)
    tell_uncollected("message", 1, "unavailable")
    there = {name.split()[0] for name in await scrape(app)}
    dashboard = json.loads((OPERATIONS / "grafana-dashboard.json").read_text())
    shown = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    for text in (shown, (OPERATIONS / "alerts.yml").read_text()):
        named = set(re.findall(r"\bsonas_[a-z_]+", text))
        assert named
        assert named <= there
    families = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in there}
    documented = set(re.findall(r"`(sonas_[a-z_]+)[`{]", (OPERATIONS / "monitoring.md").read_text()))
    assert documented - {"sonas_supabase"} == families - {"sonas_calls", "sonas_denials", "sonas_uncollected_credits"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
