"""users, freeze, revoke, set-status, time-zone, clock, open, extend, batch …: what support does to an account."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from ._connect import AsJson, DbUrl, User, Workspace, completed, connect, options
from ._guard import Stop
from ._output import Output, cell, credits, table
from ._people import statuses, suggestion, time_zones
from ._register import register as _register
from ._times import in_zone, moment, time_option
from .accounts import PlanId, balances_table

Reason = Annotated[str | None, typer.Option("--reason", "-r", help="Why; it is kept.")]
Reservation = Annotated[str, typer.Argument(metavar="RESERVATION", help="Id of the hold.", show_default=False)]


def users(
    search: Annotated[
        str | None,
        typer.Argument(metavar="SEARCH", help="The beginning of an e-mail or a name, or an id.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many: 1 to 1000.")] = 20,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """List accounts with their ids: those that match, else the newest.

    Example: sonas users ann@
    """
    with connect(db_url) as client:
        found = client.find_accounts(limit=limit, **options(search=search))
    rows = [(one.name, one.kind, one.plan, one.status, one.account_id) for one in found.accounts]
    Output(as_json).answer(found, table(("name", "kind", "plan", "status", "@id"), rows) if rows else "Nobody.")


def freeze(
    user: User, reason: Reason = None, workspace: Workspace = None, db_url: DbUrl = None, as_json: AsJson = False
) -> None:
    """Freeze an account: nothing can be spent from it until it is unfrozen.

    Example: sonas freeze free@example.com --reason "card reported stolen"
    """
    with connect(db_url) as client:
        answer = client.freeze_account(user, **options(reason=reason, workspace_id=workspace))
    Output(as_json).answer(answer, "[bold green]Frozen.[/] Undo it with `sonas unfreeze`.")


def unfreeze(
    user: User, reason: Reason = None, workspace: Workspace = None, db_url: DbUrl = None, as_json: AsJson = False
) -> None:
    """Let a frozen account spend again.

    Example: sonas unfreeze free@example.com
    """
    with connect(db_url) as client:
        answer = client.unfreeze_account(user, **options(reason=reason, workspace_id=workspace))
    Output(as_json).answer(answer, "[bold green]It can spend again.[/]", balances_table(answer.balances))


def revoke(
    user: User,
    grant: Annotated[
        str, typer.Argument(metavar="GRANT", help="Id of the grant: `sonas balance --grants`.", show_default=False)
    ],
    amount: Annotated[
        int | None, typer.Argument(metavar="AMOUNT", help="Credits; what is left of it if left out.")
    ] = None,
    reason: Reason = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take back what is left of a grant, or a part of it.

    Example: sonas revoke free@example.com 5c8f3b0e-2b7e-4d5e-9a43-0d6f1f6a7c21 --reason "given by mistake"
    """
    with connect(db_url) as client:
        answer = client.revoke_grant(user, grant, **options(amount=amount, reason=reason, workspace_id=workspace))
    Output(as_json).answer(
        answer,
        f"[bold green]Took back {answer.amount:,} {answer.credit_type}[/]",
        table(("", ""), [("remaining", credits(answer.remaining)), ("operation", answer.operation_id)]),
    )


def set_status(
    user: User,
    status: Annotated[
        str,
        typer.Argument(
            metavar="STATUS",
            help="active, trialing, past_due, unpaid, paused or canceled.",
            autocompletion=completed(statuses),
            show_default=False,
        ),
    ],
    at: Annotated[
        datetime | None,
        time_option("--at", "When it happened (UTC); now if left out."),
    ] = None,
    ends: Annotated[datetime | None, time_option("--ends", "When a trial ends (UTC).")] = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Record what became of a subscription that no payment provider manages.

    Example: sonas set-status free@example.com past_due
    """
    if status not in statuses():
        raise Stop(
            f"There is no status {status}.",
            f"{suggestion(status, statuses())}There are: {', '.join(statuses())}.",
            code="invalid_argument",
        )
    with connect(db_url) as client:
        answer = client.set_subscription_status(
            user,
            status,
            **options(at=in_zone(at), ends_at=in_zone(ends), workspace_id=workspace),
        )
    Output(as_json).answer(answer, f"[bold green]It is {answer.status} now.[/]", balances_table(answer.balances))


def time_zone(
    user: User,
    zone: Annotated[
        str,
        typer.Argument(
            metavar="ZONE", help="Such as Europe/Paris.", autocompletion=completed(time_zones), show_default=False
        ),
    ],
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Set the time zone whose wall clock an account's periods follow.

    Example: sonas time-zone free@example.com Europe/Paris
    """
    with connect(db_url) as client:
        answer = client.set_time_zone(user, zone, **options(workspace_id=workspace))
    Output(as_json).answer(answer, f"[bold green]Periods follow {answer.time_zone}.[/]")


def clock(
    user: User,
    now: Annotated[
        datetime | None,
        typer.Argument(
            metavar="TIME", parser=moment, help="The time it lives in (UTC), forwards only.", show_default=False
        ),
    ] = None,
    mark: Annotated[bool, typer.Option("--mark", help="Make it a test account. That is for good.")] = False,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give a test account a time of its own, to try renewals and expiries without waiting.

    Example: sonas clock free@example.com 2027-02-01 --mark
    """
    if now is None and not mark:
        raise Stop("Which time?", "Pass a time such as 2027-02-01, or --mark.", code="usage")
    with connect(db_url) as client:
        if mark:
            answer = client.mark_test_account(user, **options(workspace_id=workspace))
        if now is not None:
            answer = client.set_test_clock(user, in_zone(now), **options(workspace_id=workspace))
    Output(as_json).answer(
        answer, f"[bold green]It is {cell(answer.now)} UTC for this account.[/]", balances_table(answer.balances)
    )


def open_(user: User, db_url: DbUrl = None, as_json: AsJson = False) -> None:
    """Open an account for an id that has no row in auth.users here.

    Example: sonas open 00000000-0000-4000-8000-000000000009
    """
    with connect(db_url) as client:
        answer = client.open_account(user)
    Output(as_json).answer(answer, f"[bold green]Open: {answer.account_id}[/]", balances_table(answer.balances))


def extend(
    user: User,
    reservation: Reservation,
    ttl: Annotated[int, typer.Option("--ttl", metavar="SECONDS", help="How long from now: 1 to 86400.")] = 900,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Let a hold live longer: from now, and never shorter than it would have.

    Example: sonas extend free@example.com 5c8f3b0e-2b7e-4d5e-9a43-0d6f1f6a7c21 --ttl 3600
    """
    with connect(db_url) as client:
        answer = client.extend_reservation(user, reservation, ttl_seconds=ttl, **options(workspace_id=workspace))
    Output(as_json).answer(answer, f"[bold green]Held until {cell(answer.expires_at)} UTC.[/]")


def batch(
    user: User,
    items: Annotated[str, typer.Argument(metavar="ITEMS", help="A JSON array, or @FILE with one.", show_default=False)],
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Spend several amounts at once, all of them or none.

    Example: sonas batch free@example.com '[{"credit_type": "message", "amount": 2}, {"credit_type": "integration"}]'
    """
    with connect(db_url) as client:
        answer = client.consume_credits_batch(user, _items(items), **options(workspace_id=workspace))
    rows = [(one.credit_type, one.amount, credits(one.remaining), one.operation_id) for one in answer.items]
    Output(as_json).answer(answer, table(("type", "#spent", "#left", "@operation"), rows))


def pin(
    user: User,
    version: Annotated[
        int | None, typer.Argument(metavar="VERSION", help="Version of its plan; lets it go if left out.")
    ] = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Keep an account at a version of its plan, whatever is on sale; or let it take the newest again.

    Example: sonas pin free@example.com 1
    """
    with connect(db_url) as client:
        answer = client.pin_plan(user, **options(version=version, workspace_id=workspace))
    kept = f"Kept at version {answer.version} of {answer.plan}." if answer.version else "Free to take the newest."
    Output(as_json).answer(answer, f"[bold green]{kept}[/]")


def publish(
    plan: PlanId,
    now: Annotated[
        bool, typer.Option("--now", help="For everybody on the plan now, not at their next period.")
    ] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Put the figures of a plan on sale: for new accounts at once, for the others at their next period.

    Example: sonas publish starter
    """
    with connect(db_url) as client:
        accounts = 0
        while True:
            answer = client.publish_plan(plan, apply="now" if now else "next_period")
            accounts += answer.accounts
            if not answer.more:
                break
    Output(as_json).answer(answer, f"[bold green]{answer.plan} {answer.version}: {accounts:,} accounts moved now.[/]")


def uncollected(
    user: Annotated[str | None, typer.Argument(metavar="USER", help="One account alone.", show_default=False)] = None,
    resolve: Annotated[
        str | None, typer.Option("--resolve", metavar="ID", help="Close this one, with --as.", show_default=False)
    ] = None,
    resolution: Annotated[str, typer.Option("--as", help="charged or forgiven.")] = "forgiven",
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many.")] = 50,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """List work that was done and could not be charged, or close one of them.

    Example: sonas uncollected
    """
    with connect(db_url) as client:
        if resolve:
            if user is None:
                raise Stop("Whose?", "Pass the user as well.", code="usage")
            closed = client.resolve_uncollected(user, resolve, resolution)
            Output(as_json).answer(closed, "[bold green]Closed.[/]")
            return
        found = client.list_uncollected(limit=limit, **options(user_id=user))
    rows: list[Any] = [
        (one.created_at, one.credit_type, one.amount, one.reason, one.uncollected_id) for one in found.rows
    ]
    columns = ("when", "type", "#credits", "reason", "@id")
    Output(as_json).answer(found, table(columns, rows) if rows else "Everything is charged.")


def _items(text: str) -> list[Any]:
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text("utf-8")
        except OSError as error:
            raise Stop(f"{text[1:]} cannot be read: {error.strerror}.", "Pass another file.", code="usage") from None
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    if not isinstance(items, list):
        raise Stop(
            f"{escape(text[:60])} is not a JSON array.", """Such as: '[{"credit_type": "message"}]'""", code="usage"
        )
    return items


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(
        app,
        "Accounts",
        {
            "users": users,
            "freeze": freeze,
            "unfreeze": unfreeze,
            "revoke": revoke,
            "set-status": set_status,
            "time-zone": time_zone,
            "clock": clock,
            "open": open_,
            "pin": pin,
            "uncollected": uncollected,
        },
    )
    _register(app, "Spending", {"extend": extend, "batch": batch})
    _register(app, "Your project", {"publish": publish})
