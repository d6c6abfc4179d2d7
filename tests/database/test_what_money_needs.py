"""What selling credits needs: parts taken back, frozen grants, debts, and grants with a start and a price."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.timed import Timed

DISPUTED = "the payment is disputed"


def owe(user: Timed, amount: int, source: str = "re_1", credit_type: str = "message") -> None:
    user.database.run(
        "select credits.save_balance(%s, credits.set_debt(%s, credits.lock_balance(%s, %s), %s, %s))",
        user.id,
        user.id,
        user.id,
        credit_type,
        source,
        amount,
    )


def debt(user: Timed, credit_type: str = "message") -> int:
    [shown] = [b for b in user.call("get_credit_summary")["balances"] if b["credit_type"] == credit_type]
    return int(shown["debt"])


def frozen(user: Timed, verb: str, grant: str, reason: str = DISPUTED) -> bool:
    return bool(user.database.value(f"select credits.{verb}_grant(%s, %s, %s)", user.id, grant, reason))


def empty(database: Database) -> Timed:
    user = Timed(database)
    user.call("consume_credits", "message", 10)
    return user


class TestAPartOfAGrant:
    def test_is_taken_back_and_the_grant_goes_on(self, database: Database) -> None:
        user = empty(database)
        grant = user.call("grant_credits", "message", 500, "top_up")["grant_id"]
        spent = user.call("consume_credits", "message", 350)["operation_id"]
        answer = user.call("revoke_grant", grant, "refunded in part", amount=100)
        assert (answer["amount"], answer["remaining"], answer["replayed"]) == (100, 50, False)
        user.call("refund_credits", spent, 10)
        assert user.remaining == 60
        assert user.call("revoke_grant", grant)["amount"] == 60
        assert user.call("revoke_grant", grant, amount=1)["replayed"]
        user.verify()

    @pytest.mark.parametrize("amount", [0, -1, 101, 2**53 + 1])
    def test_is_at_most_what_it_has_left(self, database: Database, amount: int) -> None:
        user = empty(database)
        grant = user.call("grant_credits", "message", 100, "top_up")["grant_id"]
        with raises("invalid_amount", "PT422"):
            user.call("revoke_grant", grant, amount=amount)
        assert user.remaining == 100

    def test_leaves_what_a_hold_has(self, database: Database) -> None:
        user = empty(database)
        grant = user.call("grant_credits", "message", 100, "top_up")["grant_id"]
        user.call("reserve_credits", "message", 70)
        with raises("invalid_amount", "PT422"):
            user.call("revoke_grant", grant, amount=31)
        assert user.call("revoke_grant", grant, amount=30)["remaining"] == 0
        user.verify()


class TestAFrozenGrant:
    def test_is_not_spent_until_it_thaws(self, database: Database) -> None:
        user = empty(database)
        grant = user.call("grant_credits", "message", 100, "top_up")["grant_id"]
        other = user.call("grant_credits", "message", 5, "promotion")["grant_id"]
        assert frozen(user, "freeze", grant)
        assert user.remaining == 5
        assert user.call("consume_credits", "message", 6)["code"] == "insufficient_credits"
        assert not frozen(user, "freeze", grant, "another reason")
        assert not frozen(user, "thaw", grant, "another reason")
        assert not frozen(user, "thaw", other)
        user.verify()
        assert frozen(user, "thaw", grant)
        assert user.remaining == 105
        user.verify()

    def test_is_frozen_beyond_a_payment_that_comes_in(self, database: Database) -> None:
        user = Timed(database, plan="starter")
        [plan] = user.grants("plan", "message")[-1:]
        user.call("set_subscription_status", "past_due")
        user.wait(days=4).call("consume_credits", "message", 1)
        assert frozen(user, "freeze", plan["id"])
        user.call("set_subscription_status", "active")
        assert user.remaining == 0
        assert frozen(user, "thaw", plan["id"])
        assert user.remaining
        user.verify()

    def test_of_nobody_is_not_found(self, database: Database) -> None:
        user, other = empty(database), empty(database)
        grant = other.call("grant_credits", "message", 100)["grant_id"]
        for verb in ("freeze", "thaw"):
            with raises("invalid_argument", "PT422"):
                frozen(user, verb, grant)


class TestADebt:
    def test_is_paid_by_the_next_purchase_first(self, database: Database) -> None:
        user = empty(database)
        pack = user.call("grant_credits", "message", 500, "top_up")["grant_id"]
        user.call("consume_credits", "message", 350)
        user.call("revoke_grant", pack, "refunded", amount=150)
        owe(user, 50)
        owe(user, 100)
        owe(user, 100)
        assert (debt(user), user.remaining) == (100, 0)
        bought = user.call("grant_credits", "message", 500, "top_up")
        assert (bought["amount"], bought["debt_paid"], bought["remaining"]) == (500, 100, 400)
        assert (debt(user), user.remaining) == (0, 400)
        user.verify()

    def test_is_never_paid_by_an_allowance_or_a_gift(self, database: Database) -> None:
        user = empty(database)
        owe(user, 100)
        user.call("grant_credits", "message", 7, "goodwill")
        user.at(user.period_end)
        assert (debt(user), user.remaining) == (100, 17)
        user.call("consume_credits", "message", 1)
        assert (debt(user), user.remaining) == (100, 16)
        user.verify()

    def test_is_shown_in_a_denial(self, database: Database) -> None:
        user = empty(database)
        assert "debt" not in user.call("consume_credits", "message", 1)["details"]
        owe(user, 100)
        assert user.call("consume_credits", "message", 1)["details"]["debt"] == 100

    def test_may_be_larger_than_a_purchase_and_is_paid_in_order(self, database: Database) -> None:
        user = empty(database)
        owe(user, 30, "re_1")
        owe(user.wait(seconds=1), 40, "re_2")
        for left, remaining in ((50, 0), (30, 0), (10, 0), (0, 10)):
            user.wait(seconds=1).call("grant_credits", "message", 20, "top_up")
            assert (debt(user), user.remaining) == (left, remaining)
        user.verify()

    def test_that_was_paid_and_then_fell_comes_back_as_credits(self, database: Database) -> None:
        user = empty(database)
        owe(user, 100)
        user.call("grant_credits", "message", 60, "top_up", expires_at=user.now + timedelta(days=9))
        user.wait(seconds=1).call("grant_credits", "message", 500, "top_up")
        assert (debt(user), user.remaining) == (0, 460)
        owe(user, 50)
        owe(user, 50)
        assert (debt(user), user.remaining) == (0, 510)
        owe(user, 0)
        assert (debt(user), user.remaining) == (0, 560)
        # What the later purchase had paid comes back first, and what expires is again what expires.
        back = sorted((g["amount"], g["expires_at"] is not None) for g in user.grants("top_up"))
        assert back == [(10, True), (40, False), (50, True), (60, True), (500, False)]
        assert user.wait(days=10).remaining == 500
        user.verify()

    def test_that_fell_pays_another_one(self, database: Database) -> None:
        user = empty(database)
        owe(user, 100, "re_1")
        user.call("grant_credits", "message", 100, "top_up")
        owe(user, 30, "re_2")
        owe(user, 0, "re_1")
        assert (debt(user), user.remaining) == (0, 70)
        user.verify()

    def test_of_one_type_is_not_paid_in_another(self, database: Database) -> None:
        user = empty(database)
        owe(user, 30)
        assert user.call("grant_credits", "integration", 20, "top_up")["debt_paid"] == 0
        assert debt(user) == 30

    def test_is_paid_once_under_one_key(self, database: Database) -> None:
        user = empty(database)
        owe(user, 30)
        first = user.call("grant_credits", "message", 20, "top_up", idempotency_key="order-1")
        again = user.call("grant_credits", "message", 20, "top_up", idempotency_key="order-1")
        assert again == first | {"replayed": True}
        assert (debt(user), user.remaining) == (10, 0)
        user.verify()

    @pytest.mark.parametrize("amount", [None, -1, 2**53 + 1])
    def test_is_an_amount(self, database: Database, amount: Any) -> None:
        with raises("invalid_amount", "PT422"):
            owe(empty(database), amount)


class TestAGrant:
    def test_starts_when_it_was_told_to(self, database: Database) -> None:
        user = empty(database)
        user.call("grant_credits", "message", 7, starts_at=user.now + timedelta(days=2))
        assert user.remaining == 0
        assert user.wait(days=2).remaining == 7
        user.call("consume_credits", "message", 7)
        user.verify()

    def test_is_burnt_in_the_order_that_it_was_given(self, database: Database) -> None:
        user = empty(database)
        user.call("grant_credits", "message", 5, "promotion")
        first = user.call("grant_credits", "message", 5, "top_up", priority=0)["grant_id"]
        [line] = user.call("explain_operation", user.call("consume_credits", "message", 5)["operation_id"])["entries"]
        assert (line["grant_id"], line["priority"]) == (first, 0)
        user.verify()

    def test_says_what_was_paid(self, database: Database) -> None:
        user = empty(database)
        user.call("grant_credits", "message", 500, "top_up", paid_amount=1900, currency="USD")
        [pack] = user.grants("top_up")
        assert (pack["paid_amount"], pack["currency"]) == (1900, "usd")
        user.verify()

    @pytest.mark.parametrize(
        ("argument", "named"),
        [
            ("p_starts_at", {"starts_at": "infinity"}),
            ("p_starts_at", {"starts_at": "2999-01-01T00:00:00Z", "expires_at": "2998-01-01T00:00:00Z"}),
            ("p_expires_at", {"expires_at": "infinity"}),
            ("p_priority", {"priority": -1}),
            ("p_priority", {"priority": 1001}),
            ("p_paid_amount", {"paid_amount": -1, "currency": "usd"}),
            ("p_paid_amount", {"currency": "usd"}),
            ("p_currency", {"paid_amount": 1}),
            ("p_currency", {"paid_amount": 1, "currency": "dollar"}),
            ("p_currency", {"paid_amount": 1, "currency": ""}),
        ],
    )
    def test_is_refused_where_it_cannot_be(self, database: Database, argument: str, named: dict[str, Any]) -> None:
        with raises("invalid_argument", "PT422") as seen:
            empty(database).call("grant_credits", "message", 1, "top_up", **named)
        assert seen.details["argument"] == argument

    def test_is_the_same_request_in_every_time_zone(self, database: Database) -> None:
        user = empty(database)
        named = {"expires_at": user.now + timedelta(days=3), "starts_at": user.now, "idempotency_key": "one"}
        first = user.call("grant_credits", "message", 5, **named)
        with database.connect() as connection:
            connection.execute("set time zone 'Asia/Kolkata'; set datestyle to 'German, DMY'")
            again = user.call("grant_credits", "message", 5, connection=connection, **named)
            assert again["replayed"]
            with pytest.raises(psycopg.Error, match="idempotency_conflict"):
                user.call(
                    "grant_credits",
                    "message",
                    5,
                    connection=connection,
                    **(named | {"expires_at": user.now + timedelta(days=4)}),
                )
        assert again == first | {"replayed": True}
