"""The main job in one go: sign up, spend, be refused, be reset, upgrade."""

from __future__ import annotations

from tests.support.api import Api
from tests.support.database import Database


def test_a_user_signs_up_spends_is_refused_is_reset_and_upgrades(database: Database) -> None:
    user = database.new_user()
    assert {
        row[0]: row[1]
        for row in database.query("select credit_type, remaining from credit_balances where user_id = %s", user)
    } == {"message": 10, "integration": 100, "project": 3}

    for left in range(9, -1, -1):
        assert database.call("consume_credits", user, "message", 1, "Test consumption")["remaining"] == left
    denied = database.call("consume_credits", user, "message", 1, "Test consumption")
    assert (denied["success"], denied["code"]) == (False, "insufficient_credits")
    assert denied["details"]["upgrade_url"]

    database.call("reset_monthly_credits", user)
    assert database.balance(user)["remaining"] == 10
    database.call("change_plan", user, "pro")
    assert database.balance(user)["remaining"] >= 500
    database.verify(user)


def test_a_denial_is_a_402_over_http(database: Database, api: Api) -> None:
    user = database.new_user()
    with api.service() as client:
        answer = client.post(
            "/rpc/consume_credits", json={"p_user_id": str(user), "p_credit_type": "message", "p_amount": 11}
        )
    assert answer.status_code == 402
    assert answer.json()["code"] == "insufficient_credits"
    assert database.value("select count(*) from public.usage where user_id = %s and status = 'denied'", user) == 1
