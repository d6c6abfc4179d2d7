"""`sonas up` sells: its app leads to the simulated checkout, and takes no live key."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sonas_cli import _dashboard, _selling
from sonas_supabase.local import LocalProblem, LocalStack, free_port
from tests.billing.support import press, served, wait_until
from tests.support.database import Database

STRIPE = ("STRIPE_SECRET_KEY", "STRIPE_API_BASE", "STRIPE_WEBHOOK_SECRETS")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in STRIPE:
        monkeypatch.delenv(name, raising=False)


def test_what_sonas_up_serves_sells_from_a_plan_to_credits(database: Database, tmp_path: Path) -> None:
    import httpx

    port = free_port()
    stack = LocalStack(tmp_path / "stack", api_port=port)
    with stack._only_one():
        seen = cast(LocalStack, SimpleNamespace(
            database_url=database.url, keys=stack.keys, api_url=stack.api_url, directory=stack.directory,
            is_served=stack.is_served,
        ))  # fmt: skip
        with served(_dashboard.local_app(seen), port) as url:
            assert httpx.get(f"{url}/api/setup").json()["upgrade"] == "billing"

            def has_prices() -> bool:
                plans = httpx.get(f"{url}/api/plans").json()
                return any(price["price_id"] for plan in plans for price in plan["prices"])

            wait_until(has_prices, "the catalogue", 20)
            user = database.new_user()
            token = stack.keys.token(role="authenticated", user_id=str(user))
            headers = {"authorization": f"Bearer {token}"}
            bought: Any = httpx.post(
                f"{url}/api/billing/checkout", json={"plan_id": "starter"}, headers=headers, timeout=20
            ).json()
            assert bought["url"].startswith(f"{url}/simulated-stripe/pay/")
            assert "No card is charged" in httpx.get(bought["url"]).text
            assert press(bought["url"], "card").headers["location"].startswith(f"{url}/payment?order=")
            order = f"{url}/api/billing/orders/{bought['order_id']}?wait=15"
            assert httpx.get(order, headers=headers, timeout=20).json()["state"] == "paid"
    assert database.balance(user)["remaining"] == 100


def test_a_live_key_stops_the_local_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_1")
    with pytest.raises(LocalProblem, match="live key"):
        _selling.settings_of(LocalStack(tmp_path))


def test_the_keys_of_a_simulated_stripe_are_those_of_the_stack_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sonas status --env > .env` may be of a stack that was made anew since."""
    stack = LocalStack(tmp_path)
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_simulated_of_before")
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:1/simulated-stripe")
    found, said = _selling.settings_of(stack), _selling.environment_of(stack)
    assert found is not None
    assert (found.secret_key, found.api_base) == (said["STRIPE_SECRET_KEY"], said["STRIPE_API_BASE"])
    assert found.webhook_secrets == (said["STRIPE_WEBHOOK_SECRETS"],)


def test_a_test_key_sells_through_stripes_test_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_1")
    found = _selling.settings_of(LocalStack(tmp_path))
    assert found is not None
    assert (found.secret_key, found.api_base) == ("sk_test_1", None)
