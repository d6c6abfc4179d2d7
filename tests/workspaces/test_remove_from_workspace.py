"""Who is removed is out at once, and holds nothing any more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.database import call
from tests.support.errors import raises
from tests.support.people import acting_as
from tests.support.races import Waiting, slug, wait_until_blocked
from tests.support.teams import Team


def test_access_ends_and_holds_are_released(team: Team) -> None:
    held = team.call("reserve_credits", team.member, credit_type="message", amount=40)
    removed = team.call("remove_from_workspace", team.admin, member_id=team.member)
    assert str(team.member) not in {m["user_id"] for m in removed["members"]}
    assert team.database.balance(team.workspace)["remaining"] == 100
    with raises("account_not_found", "PT404"):
        team.spend(team.member)
    with raises("account_not_found", "PT404"):
        team.call("capture_credits", team.member, reservation_id=held["reservation_id"])
    with acting_as(team.database, "authenticated", team.member) as connection:
        for table in ("credit_balances", "credit_workspaces", "credit_workspace_members", "credit_transactions"):
            query = f"select count(*) from {table} where account_id = %s".encode()
            assert connection.execute(query, [team.workspace]).fetchone() == (0,)
    team.database.verify(team.workspace)


def test_who_may_remove_whom(team: Team) -> None:
    for actor in (team.member, team.viewer):
        with raises("forbidden", "PT403"):
            team.call("remove_from_workspace", actor, member_id=team.viewer)
    with raises("forbidden", "PT403"):
        team.call("remove_from_workspace", team.admin, member_id=team.owner)
    with raises("last_owner", "PT409"):
        team.call("remove_from_workspace", team.owner, member_id=team.owner)
    with raises("account_not_found", "PT404"):
        team.call("remove_from_workspace", team.outsider, member_id=team.member)
    with raises("member_not_found", "PT404"):
        team.call("remove_from_workspace", team.admin, member_id=team.outsider)
    assert len(team.roles()) == 4


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("consume_credits", {"credit_type": "message", "amount": 5}),
        ("reserve_credits", {"credit_type": "message", "amount": 5}),
        ("consume_credits_batch", {"items": [{"credit_type": "message"}]}),
    ],
)
def test_a_spend_that_waits_while_its_member_is_removed_is_refused(
    team: Team, function: str, arguments: dict[str, Any]
) -> None:
    """It had asked before; what counts is who is a member when the balance is theirs to change."""
    named = arguments | {"workspace_id": team.workspace}
    with team.database.connect(autocommit=False) as busy:
        busy.execute(
            "select 1 from credits.balances where account_id = %s and credit_type = 'message' for update",
            [team.workspace],
        )
        waiting = Waiting(team.database, lambda c, user: call(c, function, user_id=user, **named), team.member)
        wait_until_blocked(team.database, waiting.connection)
        busy.execute(
            "delete from credit_workspace_members where account_id = %s and user_id = %s",
            [team.workspace, team.member],
        )
        busy.commit()
    assert slug(waiting.finish()) == "account_not_found"
    assert team.database.balance(team.workspace)["remaining"] == 100
