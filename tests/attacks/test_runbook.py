"""The SQL of the runbook is run, so that it works on the day when somebody needs it."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from tests.support.database import Database, call
from tests.support.errors import raises
from tests.support.people import acting_as

RUNBOOK = (Path(__file__).resolve().parents[2] / "docs" / "runbook.md").read_text()
BLOCKS = re.findall(r"```sql\n(.*?)```", RUNBOOK, re.DOTALL)


def test_every_block_of_the_runbook_runs(own_database: Database) -> None:
    user = own_database.new_user()
    spent = call(own_database.connection, "consume_credits", user, "message", 3)
    held = call(own_database.connection, "reserve_credits", user, "message", 2)
    granted = call(own_database.connection, "grant_credits", user, "message", 5)
    names = {
        "USER": str(user),
        "OPERATION": spent["operation_id"],
        "RESERVATION": held["reservation_id"],
        "GRANT": granted["grant_id"],
    }
    inline = re.findall(r"`(select [^`]*)`", RUNBOOK)
    assert len(BLOCKS) >= 7
    assert len(inline) >= 2
    for block in (*BLOCKS, *inline):
        own_database.run(re.sub(r"'([A-Z]+)'", lambda found: f"'{names[found[1]]}'", block))
    assert own_database.balance(user)["remaining"] == 20, "refunded, compensated, revoked, released"
    own_database.verify()


def test_frozen_means_that_nothing_is_spent(own_database: Database) -> None:
    user = own_database.new_user()
    freeze = next(block for block in BLOCKS if "freeze_account" in block).splitlines()[0].replace("USER", str(user))
    own_database.run(freeze)
    with raises("account_frozen"):
        own_database.call("consume_credits", user, "message")


def test_everybody_can_be_stopped_and_let_go_again(own_database: Database) -> None:
    user = own_database.new_user()
    [stop] = [block for block in BLOCKS if block.startswith("revoke execute")]
    [start] = [block for block in BLOCKS if block.startswith("grant execute")]
    own_database.run(stop)
    with acting_as(own_database, "service_role") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        call(connection, "consume_credits", user, "message")
    own_database.run(start)
    with acting_as(own_database, "service_role") as connection:
        assert call(connection, "consume_credits", user, "message")["success"] is True
