"""explain: what one operation did, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape

from sonas_supabase import Operation

from ._connect import AsJson, DbUrl, Workspace, connect, options
from ._guard import Stop
from ._output import Output, cell, table
from ._register import register as _register

DID = {
    "consume": "were spent",
    "capture": "were spent, out of a hold,",
    "reserve": "were held",
    "refund": "came back",
    "grant": "were granted",
    "expire": "expired unspent",
    "void": "were taken back",
}


def explain(
    ids: Annotated[
        list[str],
        typer.Argument(metavar="[USER] OPERATION", help="Without the user, all accounts are searched."),
    ],
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Tell what an operation did: which grants it touched, before and after, its refunds and its hold.

    Example: sonas explain 773ef3ba-509f-4a59-97c1-383a1b733311
    """
    *users, operation = ids
    if len(users) > 1:
        raise Stop("Which operation?", "Pass its id, or the user's and its id.", code="usage")
    with connect(db_url) as client:
        if users:
            found = client.explain_operation(users[0], operation, **options(workspace_id=workspace))
        else:
            whose = client.find_operation(operation)
            found = client.explain_operation(
                whose.user_id or whose.account_id, operation, **options(workspace_id=whose.workspace_id)
            )
    rows = [
        (
            entry.credit_type, entry.kind, entry.source, entry.expires_at, f"{entry.amount:+,}", entry.balance_before,
            entry.balance_after,
        )
        for entry in found.entries
    ]  # fmt: skip
    columns = ("type", "kind", "grant", "expires", "#amount", "#before", "#after")
    Output(as_json).answer(
        found, *(escape(cell(line)) for line in tell(found)), *([table(columns, rows)] if rows else [])
    )


def tell(found: Operation) -> Iterator[str]:
    """The sentences about an operation. Each figure in them is one of the ledger's."""
    why = f": {found.description}" if found.description else "."
    when = f"on {cell(found.created_at)} UTC"
    if found.kind == "denial":
        yield f"An attempt to spend {found.credit_type} credits was denied {when}{why}"
        if found.required is not None:
            yield f"{found.required:,} were required, {found.available or 0:,} were available."
        yield "Nothing was taken."
    elif found.credit_type is None:
        yield f"{found.kind} was called {when}{why}"
        yield "No credits are booked under its id; `sonas why USER TYPE` shows what it brought."
    else:
        yield f"{_amounts(found)} {DID.get(found.kind, found.kind)} {when}{why}"
    if found.user_id != found.account_id:
        who = f"User {found.user_id} acted" if found.user_id else "Nobody acted, it happened by itself,"
        yield f"{who} on the account {found.account_id}."
    if found.related_operation_id:
        yield f"It belongs to the operation {found.related_operation_id}."
    yield from _hold(found)
    for refund in found.refunds:
        yield f"{refund['amount']:,} of it came back with the operation {refund['operation_id']}."


def _amounts(found: Operation) -> str:
    sums: dict[str, int] = defaultdict(int)
    for entry in found.entries:
        sums[entry.credit_type] += entry.amount
    amounts = sums or {str(found.credit_type): found.amount}
    return " and ".join(f"{abs(amount):,} {name}" for name, amount in amounts.items()) + " credits"


def _hold(found: Operation) -> Iterator[str]:
    hold = found.reservation
    if hold is None:
        return
    until = _time(hold["expires_at"])
    if hold["status"] == "open":
        yield f"They are held until {until} UTC, unless they are captured or released before."
    elif hold["status"] == "expired":
        yield f"The hold expired on {until} UTC; all of it went back."
    elif hold["status"] == "released":
        yield f"The hold was released; all of it went back{': ' + hold['reason'] if hold.get('reason') else '.'}"
    else:
        yield f"{hold['amount']:,} had been held; {hold['released']:,} of them went back."
        if hold["shortfall"]:
            yield f"It cost {hold['shortfall']:,} more, which the account did not have: the shortfall was not charged."


def _time(time: str) -> str:
    return cell(datetime.fromisoformat(time))


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Accounts", {"explain": explain})
