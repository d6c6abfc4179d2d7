"""Holding: reserve, then capture, release or expire, once."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import new_workspace
from tests.support.teams import join, new_team
from tests.support.timed import MICROSECOND, Timed


@pytest.fixture
def user(database: Database) -> Timed:
    return Timed(database)


def status(user: Timed, reservation_id: str) -> str:
    return str(
        user.database.value(
            "select status from public.credit_reservations where account_id = %s and id = %s", user.id, reservation_id
        )
    )


def test_what_is_held_is_not_available_to_others(user: Timed) -> None:
    hold = user.call("reserve_credits", "message", 7)
    assert (hold["success"], hold["remaining"], hold["reserved"], hold["used"]) == (True, 3, 7, 0)
    denied = user.call("consume_credits", "message", 4)
    assert (denied["code"], denied["details"]["available"]) == ("insufficient_credits", 3)
    assert user.call("reserve_credits", "message", 4)["code"] == "insufficient_credits"
    assert user.call("consume_credits", "message", 3)["remaining"] == 0
    user.verify()


def test_a_capture_charges_what_it_was_and_the_rest_goes_back(user: Timed) -> None:
    hold = user.call("reserve_credits", "message", 7)
    capture = user.call("capture_credits", hold["reservation_id"], 4)
    assert (capture["captured"], capture["released"], capture["shortfall"]) == (4, 3, 0)
    assert (capture["remaining"], capture["reserved"], capture["used"]) == (6, 0, 4)
    assert capture["operation_id"] == hold["operation_id"]
    assert [(e["amount"], e["operation_id"]) for e in user.entries("capture")] == [(-4, hold["operation_id"])]
    user.verify()


def test_a_capture_without_an_amount_charges_all_of_it(user: Timed) -> None:
    hold = user.call("reserve_credits", "message", 7)
    assert user.call("capture_credits", hold["reservation_id"])["captured"] == 7


def test_a_capture_above_the_hold_takes_what_is_available_for_the_difference(user: Timed) -> None:
    hold = user.call("reserve_credits", "message", 4)
    capture = user.call("capture_credits", hold["reservation_id"], 6)
    assert (capture["captured"], capture["released"], capture["shortfall"], capture["remaining"]) == (6, 0, 0, 4)
    user.verify()


def test_what_a_capture_lacks_is_in_the_answer_and_in_the_ledger(user: Timed) -> None:
    hold = user.call("reserve_credits", "message", 4)
    user.call("reserve_credits", "message", 3)
    capture = user.call("capture_credits", hold["reservation_id"], 20)
    # 4 held and 3 free; the other 3 belong to the other hold.
    assert (capture["captured"], capture["shortfall"], capture["remaining"], capture["reserved"]) == (7, 13, 0, 3)
    assert sum(e["amount"] for e in user.entries("capture")) == -7
    assert {e["metadata"]["shortfall"] for e in user.entries("capture")} == {13}
    [(captured, extra, shortfall)] = user.database.query(
        "select captured, extra, shortfall from credit_reservations where account_id = %s and id = %s",
        user.id,
        hold["reservation_id"],
    )
    assert (captured, extra, shortfall) == (7, 3, 13)
    user.verify()


@pytest.mark.parametrize("amount", [None, 5, 3, 8, 30])
def test_the_same_capture_again_is_replayed(user: Timed, amount: int | None) -> None:
    hold = user.call("reserve_credits", "message", 5)["reservation_id"]
    first = user.call("capture_credits", hold, amount)
    user.call("grant_credits", "message", 100)
    again = user.call("capture_credits", hold, amount)
    assert again == first | {"replayed": True}
    assert user.balance()["used"] == first["captured"]
    user.verify()


@pytest.mark.parametrize(
    ("ending", "word"),
    [(("capture_credits", 3), "captured"), (("release_credits", "not needed"), "released"), (None, "expired")],
)
@pytest.mark.parametrize(
    "attempt", [("capture_credits", 5), ("capture_credits", None), ("capture_credits", 1), ("release_credits", None)]
)
def test_a_hold_ends_once(
    user: Timed, ending: tuple[str, object] | None, word: str, attempt: tuple[str, object]
) -> None:
    hold = user.call("reserve_credits", "message", 5, ttl_seconds=60)["reservation_id"]
    if ending:
        user.call(ending[0], hold, ending[1])
    else:
        user.wait(seconds=60)
    before = user.balance()
    with raises("reservation_closed", "PT409") as seen:
        user.call(attempt[0], hold, attempt[1])
    assert seen.details["status"] == word
    assert user.balance() == before
    user.verify()


def test_a_released_hold_costs_nothing_and_says_why(user: Timed) -> None:
    hold = user.call("reserve_credits", "message", 5)
    answer = user.call("release_credits", hold["reservation_id"], "the model failed")
    assert (answer["released"], answer["remaining"], answer["reserved"]) == (5, 10, 0)
    assert user.entries("consume", "capture", "refund") == []
    assert user.database.query(
        "select status, released, close_reason from credit_reservations where account_id = %s", user.id
    ) == [("released", 5, "the model failed")]
    user.verify()


@pytest.mark.parametrize("seconds", [1, 900, 86400])
def test_a_hold_lives_to_its_last_microsecond(user: Timed, seconds: int) -> None:
    hold = user.call("reserve_credits", "message", 5, ttl_seconds=seconds)
    expires_at = datetime.fromisoformat(hold["expires_at"])
    assert expires_at == user.now + timedelta(seconds=seconds)
    user.at(expires_at - MICROSECOND)
    assert (user.balance()["reserved"], user.remaining) == (5, 5)
    assert user.call("capture_credits", hold["reservation_id"], 2)["captured"] == 2


def test_a_hold_counts_as_released_at_its_expiry_without_any_job(user: Timed) -> None:
    hold = user.call("reserve_credits", "message", 5, ttl_seconds=60)
    ledger = user.entries()
    user.wait(seconds=60)
    assert (user.balance()["reserved"], user.remaining) == (0, 10)
    assert user.call("check_credits", "message", 10)["success"] is True
    assert user.call("explain_operation", hold["operation_id"])["reservation"]["status"] == "expired"
    # Reading has booked nothing.
    assert status(user, hold["reservation_id"]) == "open"
    assert user.entries() == ledger
    user.verify()
    # Who comes by next has all ten, and the books say when the hold ended.
    assert user.wait(seconds=30).call("consume_credits", "message", 10)["remaining"] == 0
    [(closed_at,)] = user.database.query(
        "select closed_at from credit_reservations where account_id = %s and status = 'expired'", user.id
    )
    assert closed_at == datetime.fromisoformat(hold["expires_at"])
    user.verify()


def test_a_client_killed_after_the_hold_costs_the_user_nothing(database: Database) -> None:
    user = Timed(database)
    with database.connect() as client:
        assert database.call("reserve_credits", user.id, "message", 10, connection=client)["remaining"] == 0
        client.close()
    assert user.wait(seconds=899).remaining == 0
    assert user.wait(seconds=1).remaining == 10
    assert user.balance()["used"] == 0


def test_a_client_killed_within_the_transaction_of_the_hold_leaves_no_trace(database: Database) -> None:
    user = Timed(database)
    with database.connect(autocommit=False) as client:
        database.call("reserve_credits", user.id, "message", 10, connection=client)
        database.value("select pg_terminate_backend(%s)", client.info.backend_pid)
        client.close()
    assert user.remaining == 10
    assert database.value("select count(*) from credit_reservations where account_id = %s", user.id) == 0


def test_a_response_that_breaks_half_way_pays_for_its_first_half(user: Timed) -> None:
    hold = user.call("reserve_credits", "message", 8)["reservation_id"]
    capture = user.call("capture_credits", hold, 3, "stream broke", {"tokens": 1200})
    assert (capture["captured"], capture["released"]) == (3, 5)
    [attempt] = user.database.query(
        "select status, credits_used, description, metadata from public.usage where account_id = %s", user.id
    )
    assert attempt == ("allowed", 3, "stream broke", {"tokens": 1200})


def test_a_hold_pins_slices_in_burn_order_and_gives_each_back_to_its_grant(user: Timed) -> None:
    user.call("grant_credits", "message", 3, "promotion")
    user.call("grant_credits", "message", 50, "top_up")
    hold = user.call("reserve_credits", "message", 15)["reservation_id"]
    slices = user.database.query(
        "select g.source, s.amount from credits.reservation_slices s join credit_grants g "
        "on g.account_id = s.account_id and g.id = s.grant_id where s.account_id = %s order by g.priority",
        user.id,
    )
    assert slices == [("promotion", 3), ("plan", 10), ("top_up", 2)]
    user.call("capture_credits", hold, 5)
    left = {g["source"]: (g["remaining"], g["held"]) for s in ("promotion", "plan", "top_up") for g in user.grants(s)}
    assert left == {"promotion": (0, 0), "plan": (8, 0), "top_up": (50, 0)}
    user.verify()


def test_a_held_slice_outlives_the_expiry_of_its_grant(user: Timed) -> None:
    user.call("consume_credits", "message", 10)
    user.call("grant_credits", "message", 6, expires_at=user.now + timedelta(minutes=5))
    hold = user.call("reserve_credits", "message", 4, ttl_seconds=900)["reservation_id"]
    user.wait(minutes=6)
    # Of the six, the two that nobody held are gone.
    assert (user.remaining, user.balance()["reserved"]) == (0, 4)
    capture = user.call("capture_credits", hold, 3)
    assert (capture["captured"], capture["remaining"], capture["reserved"]) == (3, 0, 0)
    # And of the four, the one that came back has gone with its grant.
    assert [(e["kind"], e["amount"]) for e in user.entries()[-3:]] == [("expire", -2), ("capture", -3), ("expire", -1)]
    user.verify()


def test_what_is_released_of_an_expired_grant_expires_at_once(user: Timed) -> None:
    user.call("consume_credits", "message", 10)
    user.call("grant_credits", "message", 6, expires_at=user.now + timedelta(minutes=5))
    hold = user.call("reserve_credits", "message", 6, ttl_seconds=900)["reservation_id"]
    user.wait(minutes=6)
    answer = user.call("release_credits", hold)
    assert (answer["released"], answer["remaining"]) == (6, 0)
    assert [(e["kind"], e["amount"]) for e in user.entries("expire")] == [("expire", -6)]
    user.verify()


def test_a_hold_over_the_end_of_the_period_charges_the_old_allowance(user: Timed) -> None:
    user.at(user.period_end - timedelta(minutes=5))
    hold = user.call("reserve_credits", "message", 10, ttl_seconds=900)["reservation_id"]
    user.wait(minutes=6)
    assert (user.remaining, user.balance()["reserved"]) == (10, 10)
    capture = user.call("capture_credits", hold, 4)
    assert (capture["captured"], capture["remaining"], capture["reserved"]) == (4, 10, 0)
    user.verify()


def test_a_hold_over_the_end_of_the_period_lets_the_rest_expire_when_it_expires(user: Timed) -> None:
    user.at(user.period_end - timedelta(minutes=5))
    user.call("reserve_credits", "message", 10, ttl_seconds=900)
    assert user.wait(minutes=20).remaining == 10
    assert user.call("consume_credits", "message", 1)["remaining"] == 9
    assert sum(e["amount"] for e in user.entries("expire")) == -10
    user.verify()


def test_a_hold_on_a_revoked_grant_can_still_be_captured(user: Timed) -> None:
    grant = user.call("grant_credits", "message", 6)["grant_id"]
    hold = user.call("reserve_credits", "message", 4)["reservation_id"]
    assert user.call("revoke_grant", grant)["amount"] == 2
    assert user.call("capture_credits", hold, 3)["remaining"] == 10
    assert [(e["kind"], e["amount"]) for e in user.entries()[-3:]] == [("void", -2), ("capture", -3), ("void", -1)]
    user.verify()


def test_a_place_under_a_limit_can_be_held(user: Timed) -> None:
    hold = user.call("reserve_credits", "project", 3)["reservation_id"]
    assert user.call("consume_credits", "project")["code"] == "limit_reached"
    assert user.call("capture_credits", hold, 1)["remaining"] == 2
    assert user.balance("project")["used"] == 1
    user.verify()


def test_a_hold_that_is_refused_is_on_record_and_one_that_is_granted_is_not_yet(user: Timed) -> None:
    user.call("reserve_credits", "message", 11, "too much")
    hold = user.call("reserve_credits", "message", 4, "enough")["reservation_id"]
    rows = "select status, credits_used, description from public.usage where account_id = %s order by created_at"
    assert user.database.query(rows, user.id) == [("denied", 0, "too much")]
    user.call("capture_credits", hold)
    assert user.database.query(rows, user.id) == [("denied", 0, "too much"), ("allowed", 4, "enough")]


def test_a_frozen_account_may_let_go_of_a_hold_and_not_capture_it(user: Timed) -> None:
    hold = user.call("reserve_credits", "message", 4)["reservation_id"]
    user.call("freeze_account", "chargeback")
    for function, argument in (
        ("capture_credits", hold),
        ("consume_credits", "message"),
        ("reserve_credits", "message"),
    ):
        with raises("account_frozen", "PT403"):
            user.call(function, argument)
    assert user.call("release_credits", hold)["released"] == 4
    user.call("unfreeze_account")
    assert user.call("consume_credits", "message", 10)["remaining"] == 0
    user.verify()


def test_a_viewer_captures_no_hold_but_their_own(database: Database) -> None:
    owner, member, viewer = (database.new_user() for _ in range(3))
    workspace = new_workspace(database, owner, member, viewer)
    role = "update credit_workspace_members set role = %s where account_id = %s and user_id = %s"
    database.run(role, "viewer", workspace, viewer)
    database.call("set_price", "hold:viewer", "call", 2_000_000_000)
    priced = database.call("reserve_operation", member, "hold:viewer", {"call": 1}, workspace_id=workspace)[
        "reservation_id"
    ]
    holds = [
        database.call("reserve_credits", member, "message", 2, workspace_id=workspace)["reservation_id"]
        for _ in range(2)
    ]
    with raises("forbidden", "PT403"):
        database.call("capture_credits", viewer, holds[0], workspace_id=workspace)
    with raises("forbidden", "PT403"):
        database.call("capture_operation", viewer, priced, workspace_id=workspace)
    assert database.call("capture_credits", owner, holds[0], workspace_id=workspace)["captured"] == 2
    # The work was done: who held for it is charged, whatever their role is by now.
    database.run(role, "viewer", workspace, member)
    assert database.call("capture_credits", member, holds[1], workspace_id=workspace)["captured"] == 2
    assert database.call("capture_operation", member, priced, workspace_id=workspace)["captured"] == 2
    database.verify(workspace)


@pytest.mark.parametrize("function", ["extend_reservation", "release_credits"])
def test_a_hold_is_extended_and_released_by_its_maker_and_by_overseers(database: Database, function: str) -> None:
    team = new_team(database)

    def hold() -> str:
        return str(team.call("reserve_credits", team.member, credit_type="message", amount=2)["reservation_id"])

    mine = hold()
    colleague = join(database, team.workspace, team.owner, "member")
    for actor in (team.viewer, colleague):
        with raises("forbidden", "PT403"):
            team.call(function, actor, reservation_id=mine)
    with raises("account_not_found", "PT404"):
        team.call(function, team.outsider, reservation_id=mine)
    for actor in (team.member, team.admin, team.owner):
        assert team.call(function, actor, reservation_id=hold())["success"]
    # What was begun as a member may be kept, or given back, as a viewer.
    team.call("set_workspace_role", team.owner, member_id=team.member, role="viewer")
    assert team.call(function, team.member, reservation_id=mine)["success"]
    database.verify(team.workspace)
