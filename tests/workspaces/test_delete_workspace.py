"""A workspace that is deleted spends nothing, holds nothing, and keeps its ledger."""

from __future__ import annotations

from tests.support.errors import raises
from tests.support.teams import Team, as_user


def test_only_an_owner_deletes_it_and_the_ledger_stays(team: Team) -> None:
    team.spend(team.member, 3)
    team.call("reserve_credits", team.member, credit_type="message", amount=40)
    for actor in (team.admin, team.member, team.viewer):
        with raises("forbidden", "PT403"):
            team.call("delete_workspace", actor)
    rows = "select count(*) from credit_transactions where account_id = %s and kind = 'consume'"
    assert team.call("delete_workspace", team.owner)["members"] == []
    assert team.database.value(rows, team.workspace) == 1
    for actor in (team.owner, team.member):
        with raises("account_not_found", "PT404"):
            team.spend(actor)
    with raises("account_not_found", "PT404"):
        team.call("delete_workspace", team.owner)
    [(status, reserved)] = team.database.query(
        "select account_status, reserved from credits.balances where account_id = %s and credit_type = 'message'",
        team.workspace,
    )
    assert (status, reserved) == ("closed", 0)
    team.database.verify(team.workspace)


def test_its_holds_are_free_when_the_call_answers(team: Team) -> None:
    """In the same transaction, and not only when it ends."""
    team.call("reserve_credits", team.member, credit_type="message", amount=40)
    as_user(team.database, team.owner, "delete_workspace", workspace_id=team.workspace)
    with team.database.connect(autocommit=False) as connection:
        connection.execute("select delete_workspace(%s, %s)", [team.owner, team.workspace])
        query = b"select status from credit_reservations where account_id = %s"
        assert connection.execute(query, [team.workspace]).fetchone() == ("released",)
        connection.rollback()
