"""`sonas stripe`: what it says, what it exits with, and which mode it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sonas_cli import app
from sonas_supabase.local import free_port
from tests.billing.support import Double
from tests.support.database import Database

Run = Callable[..., Result]


@pytest.fixture
def run(database: Database, double: Double, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command of the group, with the simulated Stripe in the environment."""
    monkeypatch.setenv("STRIPE_SECRET_KEY", double.keys.secret_key)
    monkeypatch.setenv("STRIPE_API_BASE", double.url)
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRETS", double.keys.webhook_secret)
    return lambda *words: CliRunner().invoke(app, ["stripe", *map(str, words), "--db-url", database.url])


def told(result: Result, exit_code: int = 0) -> Any:
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def test_from_an_empty_account_to_a_clean_doctor(run: Run) -> None:
    found = told(run("doctor", "--json"), 5)
    assert {finding["detail"] for finding in found["findings"]} == {"sonas stripe push"}
    would = run("push", "--dry-run", "--yearly", 10)
    assert "sonas_plan_pro_year" in would.output
    assert "Nothing was changed" in would.output
    url = "https://app.example.com/api/billing/webhook"
    done = told(run("push", "--yearly", 10, "--webhook-url", url, "--json"))
    assert done["webhook_secret"].startswith("whsec_")
    assert "Both sides agree." in run("push", "--webhook-url", url).output
    assert told(run("pull", "--json"))["changes"] == []
    assert "Nothing is wrong." in run("doctor").output
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert "Both sides agree." in run("reconcile", "--since", today).output
    assert told(run("replay", "--since", today, "--json"))["outcomes"] == {}


def test_a_key_of_the_other_mode_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(run("push", "--live", "--json"), 2)["code"] == "wrong_mode"
    monkeypatch.delenv("STRIPE_API_BASE")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_1")
    assert told(run("push", "--json"), 2)["code"] == "wrong_mode"
    monkeypatch.setenv("STRIPE_SECRET_KEY", "pk_test_1")
    assert told(run("push", "--json"), 2)["code"] == "not_configured"
    monkeypatch.setenv("STRIPE_SECRET_KEY", "")
    assert told(run("push", "--json"), 2)["code"] == "not_configured"


def test_a_stripe_that_does_not_answer_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_BASE", f"http://127.0.0.1:{free_port()}")
    said = told(run("push", "--json"), 1)
    assert (said["code"], "sonas stripe doctor" in said["hint"]) == ("payment_provider_unavailable", True)


@pytest.mark.parametrize("base", ["https://stripe.example.com", "http://10.0.0.5:80"])
def test_a_key_is_sent_to_no_other_machine(run: Run, monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    monkeypatch.setenv("STRIPE_API_BASE", base)
    assert told(run("push", "--json"), 2)["code"] == "not_configured"
