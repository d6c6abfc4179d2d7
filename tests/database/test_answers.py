"""Answers that any client can use: one key is one spend, a success is a 200, and a denial says what it was about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest

from tests.support.api import Api
from tests.support.database import Database, call
from tests.support.errors import raises
from tests.support.races import Waiting, wait_until_blocked, weaken
from tests.support.timed import Timed


class TestTheSameKeyTwiceInOneBatch:
    ITEM: ClassVar[dict[str, Any]] = {
        "credit_type": "message",
        "amount": 2,
        "idempotency_key": "twice",
        "metadata": {"a": None, "b": 1},
    }

    def test_is_one_spend(self, database: Database, user: UUID) -> None:
        first = database.call("consume_credits_batch", user, [self.ITEM, self.ITEM])
        assert (first["amount"], first["replayed"]) == (2, False)
        assert [item["replayed"] for item in first["items"]] == [False, True]
        assert len({item["operation_id"] for item in first["items"]}) == 1
        again = database.call("consume_credits_batch", user, [self.ITEM, self.ITEM])
        assert (again["amount"], again["replayed"]) == (2, True)
        # The order of the keys of an object says nothing.
        turned = {**self.ITEM, "metadata": {"b": 1, "a": None}}
        alone = {key: value for key, value in turned.items()}
        assert database.call("consume_credits", user, **alone) == first["items"][0] | {"replayed": True}
        assert database.balance(user, "message")["used"] == 2
        database.verify(user)

    @pytest.mark.parametrize(
        "other", [{"amount": 3}, {"description": "other"}, {"metadata": {}}, {"credit_type": "integration"}]
    )
    def test_for_another_request_is_a_conflict(self, database: Database, user: UUID, other: dict[str, Any]) -> None:
        with raises("idempotency_conflict", "PT409") as seen:
            database.call("consume_credits_batch", user, [self.ITEM, self.ITEM | other])
        assert seen.details["differs_in"] == [*other]
        assert database.balance(user, "message")["used"] == 0

    def test_counts_once_against_what_is_there(self, database: Database, user: UUID) -> None:
        item = {"credit_type": "message", "amount": 6, "idempotency_key": "half"}
        answer = database.call("consume_credits_batch", user, [item, item, {"credit_type": "message", "amount": 4}])
        assert (answer["success"], answer["amount"]) == (True, 10)


class TestABatchIsWhatAsManySpendsAre:
    def test_grant_by_grant_and_row_by_row(self, database: Database) -> None:
        items = [{"credit_type": "message", "amount": n, "description": f"item {n}"} for n in (3, 1, 9, 4, 2)]
        ledgers = []
        for function in ("batch", "one by one"):
            user = Timed(database)
            user.call("grant_credits", "message", 5, "promotion", expires_at=user.now + timedelta(hours=1))
            user.call("grant_credits", "message", 7, "top_up")
            if function == "batch":
                answers = user.call("consume_credits_batch", items)["items"]
            else:
                answers = [user.call("consume_credits", **item) for item in items]
            rows = [(e["version"], e["amount"], e["balance_after"], e["description"]) for e in user.entries("consume")]
            sources = [g["spent"] for s in ("promotion", "plan", "top_up") for g in user.grants(s)]
            figures = [(a["amount"], a["remaining"], a["used"], a["limit"], a["reserved"]) for a in answers]
            ledgers.append((rows, sources, figures))
            user.verify()
        assert ledgers[0] == ledgers[1]

    def test_a_key_taken_meanwhile_for_another_balance_undoes_it(self, database: Database, user: UUID) -> None:
        for function, asked in (
            ("consume_credits", ["message", 1, None, "same"]),
            ("consume_credits_batch", [[{"credit_type": "message", "idempotency_key": "same"}]]),
        ):
            with database.connect(autocommit=False) as first:
                call(first, "consume_credits", user, "integration", 1, None, "same")
                second = Waiting(database, lambda c, u, f=function, a=asked: call(c, f, u, *a), user)  # type: ignore[misc]
                wait_until_blocked(database, second.connection)
                first.commit()
                assert "idempotency_conflict" in str(second.finish())
            assert database.balance(user, "message")["used"] == 0
            database.verify(user)
            user = database.new_user()


class TestAKeyMeansTheSameInEverySession:
    def test_in_another_time_zone(self, database: Database, user: UUID) -> None:
        with database.connect() as connection:
            answers = []
            for zone, date_style in (("UTC", "ISO"), ("Asia/Tokyo", "German"), ("America/St_Johns", "SQL, DMY")):
                connection.execute("select set_config('timezone', %s, false)", [zone])
                connection.execute("select set_config('datestyle', %s, false)", [date_style])
                named = {"idempotency_key": "pack", "expires_at": "2099-01-01T12:00:00Z", "metadata": {"b": 1, "a": 2}}
                answers.append(call(connection, "grant_credits", user, "message", 5, **named))
            assert [a["replayed"] for a in answers] == [False, True, True]
            with raises("idempotency_conflict", "PT409") as seen:
                call(connection, "grant_credits", user, "message", 5, idempotency_key="pack",
                     expires_at="2099-01-01T12:00:01Z", metadata={"b": 1, "a": 2})  # fmt: skip
            assert seen.details["differs_in"] == ["expires_at"]

    def test_without_comparing_instants_it_would_not(self, own_database: Database) -> None:
        """The guard removed: the words are compared."""
        weaken(own_database, "credits.differences(jsonb, jsonb)", "'(^|_)at$'", "'^$'")
        user = own_database.new_user()
        with own_database.connect() as connection:
            named = {"idempotency_key": "pack", "expires_at": "2099-01-01T12:00:00Z"}
            call(connection, "grant_credits", user, "message", 5, **named)
            connection.execute("set timezone = 'Asia/Tokyo'")
            with raises("idempotency_conflict", "PT409"):
                call(connection, "grant_credits", user, "message", 5, **named)

    def test_one_key_for_a_spend_and_for_something_else_is_a_conflict(self, database: Database, user: UUID) -> None:
        database.call("consume_credits", user, "message", 2, "words", "one", {"a": 1})
        for function in ("reserve_credits", "grant_credits"):
            with raises("idempotency_conflict", "PT409") as seen:
                database.call(function, user, "message", 2, idempotency_key="one", description="words")
            assert "function" in seen.details["differs_in"]
        database.call("grant_credits", user, "message", 2, idempotency_key="two")
        with raises("idempotency_conflict", "PT409") as seen:
            database.call("consume_credits", user, "message", 2, idempotency_key="two")
        assert "function" in seen.details["differs_in"]


HOST = """
create function public.try_twice(p_user_id uuid, p_second bigint) returns jsonb language plpgsql as $$
begin
  perform public.consume_credits(p_user_id, 'message', 1000);
  return public.consume_credits(p_user_id, 'message', p_second);
end $$;
create function public.create_something(p_user_id uuid) returns jsonb language plpgsql as $$
begin
  perform set_config('response.status', '201', true);
  return public.consume_credits(p_user_id, 'message', 1);
end $$;
grant execute on function public.try_twice(uuid, bigint), public.create_something(uuid) to service_role;
notify pgrst, 'reload schema'
"""
SUCCEEDS: dict[str, dict[str, Any]] = {
    "reserve_credits": {"p_credit_type": "message"},
    "check_credits": {"p_credit_type": "message"},
    "grant_credits": {"p_credit_type": "message", "p_amount": 1},
    "change_plan": {"p_plan_id": "pro"},
    "set_subscription_status": {"p_status": "active"},
    "freeze_account": {},
    "unfreeze_account": {},
    "mark_test_account": {},
    "pin_plan": {},
    "reset_monthly_credits": {},
    "set_time_zone": {"p_time_zone": "UTC"},
    "consume_credits_batch": {"p_items": [{"credit_type": "message"}]},
}


class TestOverHttp:
    def test_a_success_after_a_denial_is_a_200(self, database: Database, user: UUID, api: Api) -> None:
        database.run(HOST)
        body = {"p_user_id": str(user)}
        with api.service() as client:
            for _ in range(100):
                answer = client.post("/rpc/try_twice", json=body | {"p_second": 1})
                if answer.status_code != 404:
                    break
            assert (answer.status_code, answer.json()["success"]) == (200, True)
            denied = client.post("/rpc/try_twice", json=body | {"p_second": 1000})
            assert (denied.status_code, denied.json()["success"]) == (402, False)
            assert client.post("/rpc/create_something", json=body).status_code == 201
        assert database.value("select count(*) from usage where account_id = %s and status = 'denied'", user) == 3

    @pytest.mark.parametrize("function", SUCCEEDS)
    def test_whatever_succeeds_clears_the_status(self, database: Database, user: UUID, function: str) -> None:
        with database.connect(autocommit=False) as connection:
            call(connection, "consume_credits", user, "message", 1000)
            seen = connection.execute("select current_setting('response.status')").fetchone()
            named = {key.removeprefix("p_"): value for key, value in SUCCEEDS[function].items()}
            assert call(connection, function, user, **named)["success"] is True
            after = connection.execute("select current_setting('response.status')").fetchone()
            assert (seen, after) == (("402",), ("",))


class TestARefund:
    def test_says_how_much_came_back_and_how_much_had_expired(self, database: Database) -> None:
        user = Timed(database)
        user.call("grant_credits", "message", 5, "top_up")
        spent = user.call("consume_credits", "message", 12)["operation_id"]
        at_once = user.call("refund_credits", spent, 1)
        assert (at_once["amount"], at_once["returned"], at_once["expired"]) == (1, 1, 0)
        user.at(user.period_end).wait(days=2)
        late = user.call("refund_credits", spent)
        assert (late["amount"], late["returned"], late["expired"]) == (11, 1, 10)
        assert user.remaining == 15
        user.verify()

    def test_that_comes_back_as_a_compensation_came_back(self, database: Database) -> None:
        user = Timed(database)
        spent = user.call("consume_credits", "message", 10)["operation_id"]
        user.at(user.period_end).wait(hours=1)
        answer = user.call("refund_credits", spent)
        assert (answer["amount"], answer["returned"], answer["expired"]) == (10, 10, 0)
        assert user.remaining == 20

    def test_into_a_voided_grant_has_not_come_back(self, database: Database) -> None:
        user = Timed(database)
        grant = user.call("grant_credits", "message", 6, "promotion")["grant_id"]
        spent = user.call("consume_credits", "message", 6)["operation_id"]
        user.call("revoke_grant", grant)
        answer = user.call("refund_credits", spent)
        assert (answer["amount"], answer["returned"], answer["expired"]) == (6, 0, 6)


class TestADenial:
    @pytest.mark.parametrize("function", ["consume_credits", "reserve_credits"])
    def test_is_on_record_with_what_was_asked_and_what_there_was(
        self, database: Database, user: UUID, function: str
    ) -> None:
        denied = database.call(function, user, "message", 11, description="draw", metadata={"actor": "bob"})
        assert denied["details"]["operation_id"] == denied["operation_id"]
        [(metadata,)] = database.query(
            "select metadata from usage where account_id = %s and operation_id = %s", user, denied["operation_id"]
        )
        assert metadata == {"actor": "bob", "required": 11, "available": 10}
        explained = database.call("explain_operation", user, denied["operation_id"])
        assert (explained["required"], explained["available"]) == (11, 10)

    def test_of_a_batch_says_what_its_item_saw(self, database: Database, user: UUID) -> None:
        items = [{"credit_type": "message", "amount": 7}, {"credit_type": "message", "amount": 5}]
        denied = database.call("consume_credits_batch", user, items)
        explained = database.call("explain_operation", user, denied["operation_id"])
        assert (denied["item"], denied["details"]["required"], denied["details"]["available"]) == (1, 5, 3)
        assert (explained["required"], explained["available"]) == (5, 3)

    @pytest.mark.parametrize("letter", ["x", "雪", "😀"])
    def test_is_small_whatever_came_along(self, database: Database, user: UUID, letter: str) -> None:
        metadata = {"actor": letter * 10_000, "page": letter * 1000, "deep": {"x": [letter * 500]}}
        for _ in range(3):
            database.call("consume_credits", user, "message", 11, letter * 2000, metadata=metadata)
            item = {"credit_type": "message", "amount": 11, "description": letter * 2000, "metadata": metadata}
            database.call("consume_credits_batch", user, [item])
        sizes = database.query(
            "select pg_column_size(u.*), metadata ->> 'required' from usage u where account_id = %s", user
        )
        assert len(sizes) == 6
        assert all(size <= 1024 and required == "11" for size, required in sizes)
