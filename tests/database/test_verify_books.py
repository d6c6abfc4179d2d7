"""`verify_books` finds what it says it finds: each rule broken by hand, behind the functions' back."""

from __future__ import annotations

import pytest

from tests.support.database import Database
from tests.support.timed import Timed

LEDGER = "alter table credit_transactions disable trigger user;"
LAST = "account_id = '{user}' and credit_type = 'message' and version = 3"

TAMPERED = {
    "a grant that holds more than its ledger says": (
        1,
        "update credit_grants set amount = amount + 5, remaining = remaining + 5 "
        "where account_id = '{user}' and credit_type = 'message'",
    ),
    "a row missing from the ledger": (2, LEDGER + "delete from credit_transactions where " + LAST),
    "a balance_after that does not follow": (
        2,
        LEDGER + "update credit_transactions set balance_after = 7 where " + LAST,
    ),
    "a balance that is not what its grants hold": (
        2,
        "update credits.balances set balance = balance + 5 where account_id = '{user}' and credit_type = 'message'",
    ),
    "a reserved that no hold pins": (
        2,
        "update credits.balances set reserved = reserved + 1 where account_id = '{user}' and credit_type = 'message'",
    ),
    "a usage that says another amount": (
        3,
        "update public.usage set credits_used = 9 where account_id = '{user}' and status = 'allowed'",
    ),
    "a key that stands for nothing": (
        3,
        "update credits.idempotency_keys set operation_id = gen_random_uuid() where account_id = '{user}'",
    ),
    "a hold whose slices are not what it holds": (
        4,
        "update credits.reservation_slices set amount = amount + 1 where account_id = '{user}'",
    ),
    "a ledger that anybody may change": (8, "drop trigger credit_transactions_are_append_only on credit_transactions"),
    "a table that the service role may write": (8, "grant update on credit_grants to service_role"),
    "a function that users may call": (8, "grant execute on function grant_credits to authenticated"),
    "a core that is open": (8, "grant usage on schema credits to service_role"),
    "a table without row level security": (8, "alter table credit_grants disable row level security"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_it_finds(own_database: Database, what: str) -> None:
    rule, statement = TAMPERED[what]
    user = Timed(own_database)
    user.call("consume_credits", "message", 3, idempotency_key="key")
    user.call("consume_credits", "message", 1)
    user.call("reserve_credits", "message", 2)
    user.verify()
    own_database.run(statement.format(user=user.id))
    # Who may do what is a matter of the whole database.
    reports = [own_database.call("verify_books")] + ([own_database.call("verify_books", user.id)] if rule != 8 else [])
    for report in reports:
        assert report["success"] is False
        broken = {check["rule"] for check in report["checks"] if not check["ok"]}
        assert rule in broken
        assert all(check["violations"] for check in report["checks"] if not check["ok"])


def test_it_says_how_much_it_has_looked_at(own_database: Database) -> None:
    for _ in range(3):
        Timed(own_database).call("consume_credits", "message", 3, idempotency_key="key")
    report = own_database.call("verify_books")
    assert (report["success"], report["code"]) == (True, "ok")
    assert {check["rule"] for check in report["checks"]} >= {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
    assert all(check["checked"] > 0 for check in report["checks"] if check["rule"] not in (4, 6, 9, 10, 11))


def test_of_one_account_nobody_asks_who_may_do_what(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.run("grant update on credit_grants to service_role")
    assert own_database.call("verify_books", user)["success"] is True
    assert own_database.call("verify_books", user, rule=8)["checks"] == []
    assert own_database.call("verify_books")["success"] is False


def test_the_history_up_to_any_version_never_changes(database: Database) -> None:
    user = Timed(database, plan="starter")
    history = "select to_jsonb(t) from credit_transactions t where account_id = %s order by credit_type, version"
    seen: list[tuple[object, ...]] = []
    for step in range(12):
        user.wait(days=9).call("consume_credits", "message", step + 1)
        hold = user.call("reserve_credits", "message", 5, ttl_seconds=86400)["reservation_id"]
        capture = user.wait(hours=1).call("capture_credits", hold, 2)
        user.wait(days=step).call("refund_credits", capture["operation_id"])
        now = database.query(history, user.id)
        chains = {t: [row for (row,) in now if row["credit_type"] == t] for t in ("message", "integration", "project")}
        before = {t: [row for (row,) in seen if row["credit_type"] == t] for t in chains}  # type: ignore[index]
        for credit_type, rows in chains.items():
            assert rows[: len(before[credit_type])] == before[credit_type]
        seen = now
    user.verify()
