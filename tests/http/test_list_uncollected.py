"""The seller sees what could not be charged, and the doctor names it."""

from __future__ import annotations

from tests.support.database import Database


def test_the_newest_are_first_and_all_are_summed(own_database: Database) -> None:
    one, two = own_database.new_user(), own_database.new_user()
    for user, amount in ((one, 1), (two, 2), (one, 4)):
        own_database.call("record_uncollected", user, "message", amount, "unavailable")
    everything = own_database.call("list_uncollected", limit=2)
    assert [row["amount"] for row in everything["rows"]] == [4, 2]
    assert everything["totals"] == {"message": 7}
    assert own_database.call("list_uncollected", one)["totals"] == {"message": 5}


def test_what_could_not_be_given_back_is_owed_to_the_account(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.call("record_uncollected", user, "message", 2, "unavailable")
    own_database.call("record_uncollected", user, "message", 3, "unavailable", kind="refund")
    told = own_database.call("list_uncollected", user)
    assert (told["totals"], told["owed"]) == ({"message": 2}, {"message": 3})
    assert [row["kind"] for row in told["rows"]] == ["refund", "charge"]
    meanings = [one["meaning"] for one in own_database.call("diagnose")["findings"] if one["code"] == "uncollected"]
    assert any(meaning.startswith("3 message credits were charged for what failed") for meaning in meanings)


def test_the_doctor_names_it_until_it_is_resolved(own_database: Database) -> None:
    user = own_database.new_user()

    def findings() -> list[str]:
        return [
            finding["meaning"]
            for finding in own_database.call("diagnose")["findings"]
            if finding["code"] == "uncollected"
        ]

    assert findings() == []
    made = own_database.call("record_uncollected", user, "message", 3, "unavailable")
    [meaning] = findings()
    assert meaning.startswith("Work for 3 message credits was done and could not be charged")
    own_database.call("resolve_uncollected", user, made["uncollected_id"], "forgiven")
    assert findings() == []
