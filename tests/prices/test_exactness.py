"""Random operations from eight connections agree with exact fractions, and the books with both."""

from __future__ import annotations

from tests.prices import properties
from tests.support.database import Database


def test_the_ledger_and_the_remainder_are_exactly_what_the_operations_cost(own_database: Database) -> None:
    sums = properties.run(own_database, 400, seed=20261129)
    assert sums.wrong == []
    assert sums.operations > 300


def test_a_part_of_a_credit_ends_with_its_account(own_database: Database) -> None:
    own_database.call("set_price", "part", "call", 1_250_000_000)
    user = own_database.new_user()
    own_database.call("change_plan", user, "pro")
    for _ in range(2):
        # Two credits for 1.25: 0.75 is left over, and gone when the person comes back.
        assert own_database.call("consume_operation", user, "part", {"call": 1})["amount"] == 2
        own_database.run("delete from auth.users where id = %s", user)
        own_database.verify()
        own_database.run("insert into auth.users (id) values (%s)", user)
        own_database.call("get_credit_summary", user)
    dropped = own_database.value("select nano from credits.dropped_remainders where account_id = %s", user)
    assert dropped == 2 * 750_000_000
    own_database.call("consume_operation", user, "part", {"call": 1})
    own_database.call("forget_account", user)
    own_database.verify()
