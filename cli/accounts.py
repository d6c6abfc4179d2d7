"""plans, balance, history, grant, reset, plan."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress_bar import ProgressBar

from sonas_supabase import Balance, Plan, PlanLimit, Summary
from sonas_supabase.money import show_amount

from ._connect import AsJson, CreditType, DbUrl, OneType, User, Workspace, completed, connect, options
from ._guard import Stop
from ._output import Output, cell, credits, table
from ._people import names_of, plan_ids, sources
from ._register import register as _register
from ._times import in_zone, time_option

PlanId = Annotated[
    str,
    typer.Argument(
        metavar="PLAN", help="`sonas plans` lists them.", autocompletion=completed(plan_ids), show_default=False
    ),
]


def plans(db_url: DbUrl = None, as_json: AsJson = False) -> None:
    """Show what is on sale: every plan, what it includes per month, and its price.

    Example: sonas plans
    """
    with connect(db_url) as client:
        found = client.list_plans()
    types = [limit.credit_type for limit in found[0].limits] if found else []
    rows = [(plan.id, *(_allowance(plan, credit_type) for credit_type in types), _price(plan)) for plan in found]
    Output(as_json).answer({"plans": found}, table(("plan", *(f"#{name}" for name in types), "#price"), rows))


def balance(
    user: User,
    grants: Annotated[bool, typer.Option("--grants", help="With the ids of the grants, for `sonas revoke`.")] = False,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show what an account has left of every credit type, its plan and its open grants.

    Example: sonas balance free@example.com
    """
    with connect(db_url) as client:
        summary = client.get_credit_summary(user, **options(workspace_id=workspace))
        names = {} if as_json else names_of(client, [summary.account_id])
    whose = names.get(str(summary.account_id), str(summary.account_id))
    Output(as_json).answer(
        summary,
        f"{escape(cell(whose))}: {_heading(summary)}",
        balances_table(summary.balances),
        *_withheld(summary),
        *_grants(summary, with_ids=grants),
    )


def history(
    user: User,
    credit_type: OneType = None,
    since: Annotated[datetime | None, time_option("--since", "From when on (UTC).")] = None,
    until: Annotated[datetime | None, time_option("--until", "Before when (UTC).")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many rows: 1 to 1000.")] = 20,
    cursor: Annotated[
        str | None, typer.Option("--cursor", help="Where the page before ended, as it said.", show_default=False)
    ] = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show the ledger of an account, newest first.

    Example: sonas history free@example.com --type message -n 5
    """
    with connect(db_url) as client:
        page = client.get_credit_history(
            user,
            **options(
                credit_type=credit_type,
                limit=limit,
                cursor=cursor,
                since=in_zone(since),
                until=in_zone(until),
                workspace_id=workspace,
            ),
        )
    rows = [
        (
            entry.created_at, entry.credit_type, entry.kind, f"{entry.amount:+,}", entry.balance_after,
            entry.description, entry.operation_id,
        )
        for entry in page.rows
    ]  # fmt: skip
    shown = table(("when", "type", "kind", "#amount", "#balance", "description", "@operation"), rows)
    older = f"\nOlder rows: --cursor {page.next_cursor}" if page.next_cursor else ""
    Output(as_json).answer({"rows": page.rows, "next_cursor": page.next_cursor}, shown, older)


def grant(
    user: User,
    credit_type: CreditType,
    amount: Annotated[int, typer.Argument(metavar="AMOUNT", help="Whole credits.", show_default=False)],
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="trial, promotion, compensation, top_up or goodwill.",
            autocompletion=completed(sources),
        ),
    ] = "promotion",
    description: Annotated[str | None, typer.Option("--description", "-d", help="Why.")] = None,
    expires: Annotated[
        datetime | None,
        time_option("--expires", "When what is left of it expires (UTC)."),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key.")] = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give credits beside the allowance.

    Example: sonas grant free@example.com message 50 --source goodwill -d "Sorry for the outage"
    """
    with connect(db_url) as client:
        answer = client.grant_credits(
            user,
            credit_type,
            amount,
            source=source,
            **options(
                description=description,
                expires_at=in_zone(expires),
                idempotency_key=key,
                workspace_id=workspace,
            ),
        )
    Output(as_json).answer(
        answer,
        f"[bold green]Granted {answer.amount:,} {answer.credit_type}[/]",
        table(("", ""), [("remaining", credits(answer.remaining)), ("grant", answer.grant_id)]),
    )


def reset(
    user: Annotated[
        str | None, typer.Argument(metavar="USER", help="Whose allowance restarts now.", show_default=False)
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Book every renewal that has fallen due.")] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Restart the allowance of one user now, or book all renewals that have fallen due.

    Nothing depends on when renewals are booked: a balance is right to the second without it. `--all` may be
    interrupted and run again, from several places at once.

    Example: sonas reset --all
    """
    if (user is None) != everybody:
        raise Stop("Whose allowance?", "Pass the id of a user, or --all.", code="usage")
    output = Output(as_json)
    with connect(db_url) as client:
        if user is not None:
            answer = client.reset_monthly_credits(user)
            output.answer(answer, "[bold green]The allowance has restarted.[/]", balances_table(answer.balances))
            return
        done = 0
        with output.progress() as bar:
            task = bar.add_task("Booking renewals", total=client.system_status().due)
            more: bool | None = True
            while more:
                batch = client.reset_monthly_credits()
                done, more = done + (batch.accounts or 0), batch.more
                bar.advance(task, batch.accounts or 0)
    output.answer({"success": True, "code": "ok", "accounts": done}, f"{done:,} accounts renewed.")


def plan(
    user: User,
    plan_id: PlanId,
    at_period_end: Annotated[
        bool, typer.Option("--at-period-end", help="Change when the period ends, not now.")
    ] = False,
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key.")] = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Move an account to another plan. The plan that it is on takes a pending change back.

    Example: sonas plan free@example.com starter
    """
    with connect(db_url) as client:
        answer = client.change_plan(
            user,
            plan_id,
            effective="period_end" if at_period_end else "now",
            **options(idempotency_key=key, workspace_id=workspace),
        )
    then = f", then {answer.pending_plan} from {cell(answer.pending_at)}" if answer.pending_plan else ""
    Output(as_json).answer(answer, f"[bold green]On the plan {answer.plan}{then}.[/]", balances_table(answer.balances))


_WIDE = 10**8


def balances_table(balances: tuple[Balance, ...]) -> Any:
    """What an account has of each credit type, with a bar of what is used."""
    if any(max(row.remaining or 0, row.used, row.allowance or 0) >= _WIDE for row in balances):
        return table(("", ""), [(row.credit_type, _in_words(row)) for row in balances])
    made = table(("type", "#left", "#of", "#used", "#held", "", "#plan gives", "renews"), [])
    for row in balances:
        colour = {"low": "yellow", "exhausted": "red"}.get(row.warning or "", "green")
        bar = ProgressBar(
            total=100, completed=min(row.percent_used, 100), width=8, complete_style=colour, finished_style=colour
        )
        made.add_row(
            row.credit_type,
            credits(row.remaining),
            # Of all that could be spent: what was bought or given counts as much as the allowance.
            "-" if row.remaining is None else cell(row.used + row.reserved + row.remaining),
            cell(row.used),
            cell(row.reserved),
            # Of nothing, nothing is used.
            bar if row.remaining is not None and row.used + row.reserved + row.remaining else "",
            credits(row.allowance),
            cell(row.renews_at) if row.renews_at else "never",
        )
    return made


def _in_words(row: Balance) -> str:
    """A balance with figures that are too long for a table."""
    held = f", {row.reserved:,} held" if row.reserved else ""
    of = "" if row.remaining is None else f" of {row.used + row.reserved + row.remaining:,}"
    renews = f", renews {cell(row.renews_at)}" if row.renews_at else ""
    gives = credits(row.allowance)
    return f"{credits(row.remaining)} left{of}, {row.used:,} used{held}; the plan gives {gives}{renews}"


def _heading(summary: Summary) -> str:
    status = "" if summary.status == "active" else f" ({summary.status})"
    then = f", then {summary.pending_plan} from {cell(summary.pending_at)}" if summary.pending_plan else ""
    return f"[bold]{summary.plan_name}[/]{status}{then}"


_WITHHELD = {
    "anonymous": "No free credits until its person has signed up.",
    "other_account": "No free credits: another account of the same person has them.",
    "workspace": "No free credits: a workspace has none of its own.",
}


def _withheld(summary: Summary) -> list[str]:
    if any(balance.kind == "credit" and balance.allowance != 0 for balance in summary.balances):
        return []
    return [_WITHHELD[summary.free_credits]] if summary.free_credits in _WITHHELD else []


def _grants(summary: Summary, *, with_ids: bool) -> list[Any]:
    if not summary.grants:
        return []
    rows = [
        (
            grant.credit_type, grant.source, grant.remaining, grant.amount, grant.expires_at,
            "frozen" if grant.frozen else "", grant.description, grant.grant_id,
        )
        for grant in summary.grants
    ]  # fmt: skip
    return [
        "",
        table(
            ("type", "source", "#left", "#of", "expires", "", "description", *(["@grant"] if with_ids else [])),
            rows if with_ids else [row[:-1] for row in rows],
            title="Open grants, in burn order",
        ),
    ]


def _allowance(plan: Plan, credit_type: str) -> str:
    limits: dict[str, PlanLimit] = {limit.credit_type: limit for limit in plan.limits}
    return credits(limits[credit_type].allowance) if credit_type in limits else "-"


def _price(plan: Plan) -> str:
    return show_amount(plan.price_cents, plan.currency) if plan.price_cents else "free"


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(
        app,
        "Accounts",
        {
            "balance": balance,
            "history": history,
            "grant": grant,
            "reset": reset,
            "plan": plan,
        },
    )
