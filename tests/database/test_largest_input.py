"""The largest input that is allowed passes."""

from __future__ import annotations

from uuid import UUID

from tests.support.database import Database
from tests.support.errors import raises


def test_the_greatest_amount_may_have_metadata(database: Database, user: UUID) -> None:
    answer = database.call("consume_credits", user, "message", 2**53, metadata={"any": "thing"})
    assert answer["code"] == "insufficient_credits"


def test_the_longest_text_and_the_largest_metadata_pass(database: Database, user: UUID) -> None:
    room = 65536 - len('{"k": ""}')
    spent = database.call("consume_credits", user, "message", 1, description="d" * 2000, metadata={"k": "m" * room})
    assert spent["success"] is True
    with raises("invalid_argument", "PT422") as seen:
        database.call("consume_credits", user, "message", 1, description="d" * 2001)
    assert seen.details["argument"] == "p_description"
    with raises("invalid_argument", "PT422") as seen:
        database.call("consume_credits", user, "message", 1, metadata={"k": "m" * (room + 1)})
    assert seen.details["argument"] == "p_metadata"
