"""sonas stripe: the catalogue at Stripe, its events, and whether both sides agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._connect import AsJson, DbUrl, connect
from ._guard import CHECK_FAILED, REFUSED, Stop, guarded
from ._output import Output, table
from ._times import in_zone, time_option

if TYPE_CHECKING:
    from sonas_supabase.billing import Operations

PANEL = "Selling"
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]
Live = Annotated[bool, typer.Option("--live", help="With a live key: real prices, real money.")]
Since = Annotated[datetime, time_option("--since", "From this time on, in UTC.")]


def push(
    dry_run: DryRun = False,
    live: Live = False,
    yearly: Annotated[
        int | None,
        typer.Option("--yearly", min=1, max=12, help="What a year costs, in months: 10 gives two for nothing."),
    ] = None,
    webhook_url: Annotated[
        str | None,
        typer.Option("--webhook-url", help="Your application's `/api/billing/webhook`: Stripe sends events there."),
    ] = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make products and prices at Stripe for the plans and packs here, and register them.

    A price never changes: another amount makes another price, and who subscribed at the old one renews at it.

    Example: sonas stripe push --dry-run
    """
    output = Output(as_json)
    with _operations(db_url, live=live) as stripe:
        changes = stripe.push(dry_run=dry_run, yearly_months=yearly)
        secret = None
        if webhook_url:
            more, secret = stripe.endpoint(webhook_url, dry_run=dry_run)
            changes += more
    shown: list[Any] = [_changes(changes, "Both sides agree.")]
    if dry_run and changes:
        shown.append("Nothing was changed. Without --dry-run it is done.")
    if secret:
        shown.append(f"The endpoint's secret, shown once: add it to STRIPE_WEBHOOK_SECRETS.\n{secret}")
    output.answer(
        {"success": True, "code": "ok", "dry_run": dry_run, "changes": changes, "webhook_secret": secret}, *shown
    )


def pull(dry_run: DryRun = False, live: Live = False, db_url: DbUrl = None, as_json: AsJson = False) -> None:
    """Register here the prices that `push` has made at Stripe: for a database that does not know them.

    Example: sonas stripe pull
    """
    with _operations(db_url, live=live) as stripe:
        changes = stripe.pull(dry_run=dry_run)
    Output(as_json).answer(
        {"success": True, "code": "ok", "dry_run": dry_run, "changes": changes},
        _changes(changes, "All prices of ours are registered."),
    )


def replay(since: Since, live: Live = False, db_url: DbUrl = None, as_json: AsJson = False) -> None:
    """Read Stripe's events again from a time on, and apply what is missing. What was applied changes nothing.

    Stripe keeps events for thirty days.

    Example: sonas stripe replay --since 2027-03-01
    """
    with _operations(db_url, live=live) as stripe:
        outcomes = stripe.replay(in_zone(since))
    Output(as_json).answer(
        {"success": True, "code": "ok", "outcomes": outcomes},
        table(("outcome", "#events"), sorted(outcomes.items())) if outcomes else "There are no events.",
    )


def reconcile(since: Since, live: Live = False, db_url: DbUrl = None, as_json: AsJson = False) -> None:
    """Compare what Stripe has with what is here: paid and not granted, granted and not paid, uncovered, prices.

    Exit code 5 when something differs. Nothing is changed; `replay` mends what was only not heard of.

    Example: sonas stripe reconcile --since 2027-03-01
    """
    output = Output(as_json)
    with _operations(db_url, live=live) as stripe:
        found = stripe.reconcile(in_zone(since))
    output.answer(
        {"success": not found, "code": "found" if found else "ok", "findings": found},
        table(("kind", "what", ""), [(one.kind, one.what, one.detail) for one in found])
        if found
        else "[bold green]Both sides agree.[/]",
    )
    if found:
        raise typer.Exit(CHECK_FAILED)


def doctor(
    webhook_url: Annotated[
        str | None, typer.Option("--webhook-url", help="The address of the endpoint to look at; all unless said.")
    ] = None,
    live: Live = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Look whether Stripe is set up for this: key, endpoint, its events and API version, secrets, prices.

    Exit code 5 when something is wrong.

    Example: sonas stripe doctor
    """
    output = Output(as_json)
    with _operations(db_url, live=live) as stripe:
        found = stripe.doctor(webhook_url)
    output.answer(
        {"success": not found, "code": "found" if found else "ok", "findings": found},
        table(("", "what is wrong", "what to do"), [(one.kind, one.what, one.detail) for one in found])
        if found
        else "[bold green]Nothing is wrong.[/]",
    )
    if found:
        raise typer.Exit(CHECK_FAILED)


@contextmanager
def _operations(db_url: str | None, *, live: bool) -> Iterator[Operations]:
    from sonas_supabase.billing import BillingSettings, Operations, ProviderUnavailable

    settings = BillingSettings.from_env()
    settings.require_key()
    if settings.livemode != live:
        raise Stop(
            "STRIPE_SECRET_KEY is a live key." if settings.livemode else "STRIPE_SECRET_KEY is a test key.",
            "Say --live if real money is meant." if settings.livemode else "Leave out --live, or set the live key.",
            code="wrong_mode",
        )
    with connect(db_url) as client:
        try:
            yield Operations(client, settings)
        except ProviderUnavailable as error:
            hint = "The line above says why; `sonas stripe doctor` looks at key, endpoint and prices."
            raise Stop(error.message, hint, code=error.code, exit_code=REFUSED) from error


def _changes(changes: list[Any], none: str) -> Any:
    if not changes:
        return none
    return table(("", "what", ""), [(one.action, one.what, one.detail) for one in changes])


def register(app: typer.Typer) -> None:
    """Adds the group of commands of this module."""
    group = typer.Typer(help="Sell through Stripe: prices, events, and whether both sides agree.", no_args_is_help=True)
    commands: dict[str, Callable[..., Any]] = {
        "push": push,
        "pull": pull,
        "reconcile": reconcile,
        "replay": replay,
        "doctor": doctor,
    }
    for name, command in commands.items():
        text, _, example = (command.__doc__ or "").rpartition("Example: ")
        group.command(name, help=text.strip().replace("\n    ", "\n"), epilog=f"Example: `{example.strip()}`")(
            guarded(command)
        )
    app.add_typer(group, name="stripe", rich_help_panel=PANEL)
