"""why: where the credits of one account went, in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape

from sonas_supabase import BalanceStory, Flow, models

from ._connect import AsJson, CreditType, DbUrl, User, Workspace, connect, options
from ._output import Output, cell, credits
from ._register import register as _register
from ._times import in_zone, time_option

LINES = 8


def why(
    user: User,
    credit_type: CreditType,
    since: Annotated[
        datetime | None,
        time_option("--since", "From when on (UTC). Else: this period."),
    ] = None,
    until: Annotated[
        datetime | None,
        time_option("--until", "Until when (UTC). Else: until now."),
    ] = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Answer "where did my credits go?" in words, from the ledger.

    Example: sonas why free@example.com message --since 2026-01-01
    """
    with connect(db_url) as client:
        story = client.explain_balance(
            user,
            credit_type,
            **options(
                since=in_zone(since),
                until=in_zone(until),
                workspace_id=workspace,
            ),
        )
    words = list(tell(story))
    Output(as_json).answer(
        {"success": True, "code": "ok", "story": story, "words": words}, *(escape(cell(line)) for line in words)
    )


def tell(story: BalanceStory) -> Iterator[str]:
    """The sentences of the story. Each figure in them is one of the ledger's."""
    name = story.credit_type
    start = f"On {cell(story.since)} UTC" if story.since else "At first"
    yield f"{start} there were {story.opening:,} {name} credits."
    if story.granted:
        yield f"{story.granted:,} came in:"
        yield from _lines(story.grants, story.granted)
    if story.spent:
        yield f"{story.spent:,} {'was' if story.spent == 1 else 'were'} spent:"
        yield from _lines(story.spends, story.spent)
        if len(story.largest) > 1:
            first = story.largest[0]
            yield f"  The largest single spend was {first.amount:,} on {cell(first.created_at)} ({first.operation_id})."
    if story.spent_unlimited:
        yield f"{story.spent_unlimited:,} of it while it was unlimited, which takes from no balance."
    if story.refunded:
        yield f"{story.refunded:,} came back as refunds."
    if story.expired or story.voided:
        yield f"{story.expired + story.voided:,} lapsed unspent:"
        yield from _lines(story.losses, story.expired + story.voided)
    if not (story.granted or story.spent or story.refunded or story.expired or story.voided):
        yield "Nothing has moved since."
    yield f"{_sum(story)}: {story.closing:,} {'were left then' if story.until else 'are left'}."
    yield from _now(story)


def _lines(flows: tuple[Flow, ...], total: int) -> Iterator[str]:
    for flow in flows[:LINES]:
        reason = " — ".join(dict.fromkeys(part for part in (flow.source, flow.description) if part))
        times = f", {flow.times:,} times" if flow.times > 1 else ""
        when = cell(flow.first_at) if flow.times == 1 else f"{cell(flow.first_at)} to {cell(flow.last_at)}"
        yield f"  {flow.amount:>10,}  {reason or 'without a description'}{times} ({when})"
    # The database tells of the largest only.
    if rest := total - sum(flow.amount for flow in flows[:LINES]):
        yield f"  {rest:>10,}  for other reasons"


def _sum(story: BalanceStory) -> str:
    parts = [f"{story.opening:,}"]
    parts += [f"+ {value:,}" for value in (story.granted, story.refunded, story.spent_unlimited) if value]
    parts += [f"- {value:,}" for value in (story.spent, story.expired, story.voided) if value]
    return " ".join(parts)


def _now(story: BalanceStory) -> Iterator[str]:
    for hold in story.holds:
        reason = f" for {hold.description}" if hold.description else ""
        yield f"{hold.amount:,} of them are held{reason} until {cell(hold.expires_at)}."
    if story.frozen:
        yield f"{story.frozen:,} of them are frozen, because a payment is due or disputed."
    if lacking := story.denied - story.denied_by_budget:
        yield f"{_attempts(lacking)} denied for lack of credits."
    if story.denied_by_budget:
        yield f"{_attempts(story.denied_by_budget)} denied by a budget."
    yield from map(_budget, story.budgets)
    if story.unlimited:
        yield "The plan has no limit: what is spent takes from no balance."
        return
    renewal = f"; the allowance of {credits(story.allowance)} renews on {cell(story.renews_at)}"
    yield f"{story.available:,} can be spent now{renewal if story.renews_at else ''}."


def _attempts(count: int) -> str:
    return "1 attempt was" if count == 1 else f"{count:,} attempts were"


def _budget(budget: models.Budget) -> str:
    """Such as "A budget of 50 a day for each member: 12 used, 38 left until tomorrow"."""
    value = budget.scope_value
    who = {
        "workspace": "for everybody together",
        "role": f"for all with the role {value}",
        "member": f"for the member {value}" if value else "for each member",
        "metadata": f"for {value}",
    }[budget.scope]
    used = f"{budget.used:,} used, {budget.remaining:,} left"
    if budget.window == "draw":
        return f"A budget allows {budget.limit:,} at a time, {who}."
    if budget.window == "rolling":
        window = f"in any {budget.hours} hours"
    else:
        window = {"in_flight": "on hold at a time", "period": "a billing period"}.get(
            budget.window, f"a {budget.window}"
        )
    until = f" until {cell(budget.resets_at)}" if budget.resets_at and budget.window != "rolling" else ""
    return f"A budget of {budget.limit:,} {window} {who}: {used}{until}."


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Accounts", {"why": why})
