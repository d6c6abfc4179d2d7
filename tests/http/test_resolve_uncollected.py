"""What was resolved is listed no more, and stays on record."""

from __future__ import annotations

from uuid import UUID

from tests.support.database import Database
from tests.support.errors import raises


def test_it_is_listed_no_more(database: Database, user: UUID) -> None:
    made = database.call("record_uncollected", user, "message", 3, "unavailable")
    assert database.call("resolve_uncollected", user, made["uncollected_id"], "charged by hand")["resolved"] is True
    assert database.call("resolve_uncollected", user, made["uncollected_id"], "again")["resolved"] is False
    assert database.call("list_uncollected", user) == {
        "success": True, "code": "ok", "rows": [], "totals": {}, "owed": {},
    }  # fmt: skip
    assert database.value("select resolution from credits.uncollected where account_id = %s", user) == "charged by hand"


def test_another_accounts_entry_is_not_there(database: Database, user: UUID) -> None:
    made = database.call("record_uncollected", database.new_user(), "message", 3, "unavailable")
    with raises("invalid_argument", "PT422"):
        database.call("resolve_uncollected", user, made["uncollected_id"], "forgiven")
