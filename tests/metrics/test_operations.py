"""The dashboard and the alert rules, asked of a real Prometheus that reads a real endpoint."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from sonas_supabase import CreditsClient, InsufficientCredits, ReservationNotFound
from sonas_supabase.errors import DENIALS
from sonas_supabase.metrics import metrics_app
from tests.metrics import prometheus
from tests.metrics.prometheus import Prometheus, Told, tool
from tests.support.database import Database, copied_database
from tests.support.server import Server
from tests.web.support import serving

HERE = Path(__file__).parent
OPERATIONS = HERE.parents[1] / "docs/operations"
DASHBOARD = json.loads((OPERATIONS / "grafana-dashboard.json").read_text())
TARGETS = [(panel["title"], target) for panel in DASHBOARD["panels"] for target in panel["targets"]]
TOKEN = "a token"


@dataclass(frozen=True)
class Watched:
    """A business, what serves its metrics, and the Prometheus that reads them."""

    database: Database
    url: str
    prometheus: Prometheus
    told: Told


def some_of_everything(database: Database, client: CreditsClient) -> None:
    user = database.new_user()
    client.consume_credits(user, "message", 9)
    client.reserve_credits(user, "message", 1)
    with pytest.raises(InsufficientCredits):
        client.consume_credits(user, "message", 1)
    with pytest.raises(ReservationNotFound):
        client.release_credits(user, uuid4())


def config(folder: Path, address: str) -> str:
    """What monitoring.md tells to write, for another address and in a hurry."""
    text: str
    [text] = re.findall(r"```yaml\n(.*?)```", (OPERATIONS / "monitoring.md").read_text(), re.DOTALL)
    (folder / "token").write_text(TOKEN)
    for theirs, ours in (
        ("alerts.yml", str(OPERATIONS / "alerts.yml")),
        ("/etc/prometheus/sonas-token", str(folder / "token")),
        ("app.internal:8000", address),
    ):
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    return "global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\n" + text


@pytest.fixture(scope="module")
def watched(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    tool("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    with copied_database(server) as database, CreditsClient.from_url(database.url) as client:
        told = Told(metrics_app(client, token=TOKEN, patience=0.2))
        some_of_everything(database, client)
        client.roll_up_metrics()
        with (
            serving(told, database) as site,
            prometheus.running(config(folder, site.url.removeprefix("http://")), folder) as asked,
        ):
            told.until(lambda: asked.query("sonas_denials_total == 1"))
            # A rate needs a second value of what is there already.
            some_of_everything(database, client)
            database.run("update credits.balances set due_at = now() - interval '90 seconds'")
            database.run("update public.credit_reservations set created_at = '2020-01-01', expires_at = '2020-01-02'")
            told.until(lambda: asked.query("rate(sonas_denials_total[5m]) > 0 and on () sonas_due_accounts > 0"))
            yield Watched(database, site.url, asked, told)


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=[f"{title}-{target['refId']}" for title, target in TARGETS])
def test_every_panel_has_something_to_show(watched: Watched, title: str, target: dict[str, Any]) -> None:
    found = watched.prometheus.query(target["expr"])
    assert any(value > 0 and math.isfinite(value) for _, value in found), found
    for labels, _ in found:
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= set(labels)


def test_every_metric_that_is_named_is_there(watched: Watched) -> None:
    there = watched.prometheus.names()
    for expression in [target["expr"] for _, target in TARGETS] + [
        rule["query"] for rule in watched.prometheus.rules().values()
    ]:
        named = set(re.findall(r"\bsonas_\w+", expression))
        assert named
        assert named <= there, expression


def test_the_only_variable_is_the_source_of_the_data() -> None:
    [variable] = DASHBOARD["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"])))
    assert used == {variable["name"]}
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in DASHBOARD["panels"])


def test_every_rule_is_evaluated_and_what_hangs_is_noticed(watched: Watched) -> None:
    def evaluated() -> bool:
        return all(rule["health"] == "ok" for rule in watched.prometheus.rules().values())

    def pending() -> bool:
        return bool(watched.prometheus.rules()["CreditsDoNotAnswer"]["state"] == "pending")

    watched.told.until(evaluated)
    assert set(watched.prometheus.rules()) == set(re.findall(r"alert: (\w+)", (OPERATIONS / "alerts.yml").read_text()))
    assert not pending()
    with watched.database.connect(autocommit=False) as other:
        other.execute("lock table credits.accounts in access exclusive mode")
        watched.told.until(pending)
    watched.told.until(lambda: not pending())


def test_no_rule_counts_a_denial_as_a_failure() -> None:
    excluded = set(re.findall(r'outcome!~"([^"]*)"', (OPERATIONS / "alerts.yml").read_text()))
    shown = set(re.findall(r'outcome!~"([^"]*)"', " ".join(target["expr"] for _, target in TARGETS)))
    assert [set(one.split("|")) for one in (*excluded, *shown)] == [{"ok"} | DENIALS] * 2


@pytest.mark.needs("promtool")
def test_promtool_finds_nothing_to_say_of_the_metrics(watched: Watched) -> None:
    text = httpx.get(f"{watched.url}/metrics", headers={"authorization": f"Bearer {TOKEN}"}).text
    assert "sonas_call_seconds_bucket" in text
    assert promtool("check", "metrics", given=text) == ""


@pytest.mark.needs("promtool")
def test_every_alert_fires_when_it_should_and_not_when_it_should_not() -> None:
    files = sorted(HERE.glob("alerts*.test.yml"))
    tried = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts", "".join(file.read_text() for file in files)))
    rules = re.findall(r"alert: (\w+)", (OPERATIONS / "alerts.yml").read_text())
    assert tried == set(rules)
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", OPERATIONS / "alerts.yml")
    assert promtool("test", "rules", *files).count("SUCCESS") == len(files)


def promtool(*words: str | Path, given: str = "") -> str:
    done = subprocess.run(
        [tool("promtool"), *words], input=given, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
