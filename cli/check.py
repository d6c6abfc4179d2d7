"""check: may the credit system come into this project, and what is wrong with what is there?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonas_supabase import Finding, migrations

from ._connect import AsJson, CreditType, DbUrl, User, connect, direct
from ._guard import Stop
from ._output import Output, credits, table
from ._register import register as _register
from .doctor import PARSER_MISSING, STYLES, tell_all

if TYPE_CHECKING:
    from psycopg import Connection

    from sonas_supabase.doctor import Balance, Clash

SOMETHING_FOUND = 1


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check says. ``defaults`` is ``open`` where new objects in public are given to the API's roles."""

    success: bool
    clashes: tuple[Clash, ...]
    findings: tuple[Finding, ...]
    importable: tuple[Balance, ...]
    server_version: str
    server_is_supported: bool
    extensions: tuple[str, ...]
    defaults: str


def check(db_url: DbUrl = None, as_json: AsJson = False) -> None:
    """Look at a project in which nothing is installed yet: all that would be in the way, with the cure.

    Lists every clash at once (tables, views, types, functions, triggers, indexes, a usage table of your own), each with
    the statements that cure it; what `sonas doctor` finds in your own code; the version, the extensions and the default
    privileges; and which balances `sonas import` could take over. Changes nothing. Exit code 0 when nothing was found,
    1 when something was.

    Example: sonas check --db-url "$DATABASE_URL"
    """
    output = Output(as_json)
    with output.progress() as bar, direct(db_url) as connection:
        task = bar.add_task("Looking around", total=None)
        found = checked(connection)
        bar.remove_task(task)
    if as_json:
        output.json(found)
    else:
        _show(output, found)
    if not found.success:
        raise typer.Exit(SOMETHING_FOUND)


def checked(connection: Connection[Any]) -> Checked:
    """All that there is to say about a database."""
    import psycopg

    from sonas_supabase.doctor import examine, in_the_way

    try:
        clashes = in_the_way(connection, migrations.migrations()[0].sql)
    except psycopg.errors.RaiseException as error:
        raise Stop(
            str(error.diag.message_primary),
            "Where it is installed, `sonas doctor` and `sonas status` look at it.",
            code="cannot_check",
        ) from None
    findings: Sequence[Finding] = (PARSER_MISSING,)
    importable: tuple[Balance, ...] = ()
    try:
        report = examine(connection)
        findings, importable = report.findings, report.balances
    except ModuleNotFoundError as error:
        if error.name != "pgparse":
            raise
    facts: tuple[Any, ...] = connection.execute(_FACTS).fetchone() or ("", 0, [], False)
    supported = int(facts[1]) >= 150000
    return Checked(
        success=not clashes and supported and all(one.severity == "info" for one in findings),
        clashes=clashes,
        findings=tuple(findings),
        importable=importable,
        server_version=str(facts[0]),
        server_is_supported=supported,
        extensions=tuple(facts[2]),
        defaults="open" if facts[3] else "closed",
    )


_FACTS = """
select current_setting('server_version'), current_setting('server_version_num')::integer,
  array(select e.extname::text from pg_catalog.pg_extension e order by 1),
  exists (select 1 from pg_catalog.pg_default_acl d cross join aclexplode(d.defaclacl) x
    where d.defaclnamespace = 'public'::regnamespace and d.defaclobjtype in ('r', 'f')
      and x.grantee in (0, to_regrole('anon'), to_regrole('authenticated')))
"""


def _show(output: Output, found: Checked) -> None:
    if found.clashes:
        output.line(
            f"{len(found.clashes)} in the way of the installation. The cure, as statements:\n", style="bold red"
        )
        for nth, clash in enumerate(found.clashes, 1):
            output.line(
                f"-- {nth}. {clash.problem}.{f' Run this as {clash.run_as}.' if clash.run_as else ''}", style="dim"
            )
            for statement in clash.cure:
                output.line(statement)
            if clash.named_by:
                output.line(
                    f"-- Named in {', '.join(clash.named_by)}: change the name there too, or they reach the object of "
                    "the credit system.",
                    style="dim",
                )
        output.line("")
    tell_all(output, found.findings)
    rows = [
        ("PostgreSQL", found.server_version + ("" if found.server_is_supported else " (15 or later is needed)")),
        ("extensions", ", ".join(found.extensions)),
        (
            "new objects in public",
            "are given to the API's roles by default; those of the credit system are not"
            if found.defaults == "open"
            else "are closed to the API's roles by default",
        ),
        (
            "renewals",
            "are booked by pg_cron"
            if "pg_cron" in found.extensions
            else "are right without pg_cron, which is not enabled",
        ),
    ]
    output.show(table(("", ""), rows))
    for balance in found.importable:
        output.line(
            f"sonas import could take {balance.table}.{balance.column} over:\n  sonas import {balance.table} --user "
            f"{balance.user_column} --balance {balance.column} --type message --dry-run"
        )
    others = [one for one in found.findings if one.severity != "info"]
    if found.success:
        output.show("[bold green]Nothing is in the way.[/] Next: `sonas init`, then `supabase db push`.")
    else:
        worst = others[0].severity if others else "high"
        output.show(f"[{STYLES[worst]}]{len(found.clashes)} clashes, {len(others)} findings.[/]")


def check_credits(
    user: User,
    credit_type: CreditType,
    amount: Annotated[int, typer.Argument(metavar="AMOUNT", help="Credits.")] = 1,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Ask whether a user could spend credits now. Changes nothing and holds nothing.

    Example: sonas check-credits free@example.com message 5
    """
    with connect(db_url) as client:
        advice = client.check_credits(user, credit_type, amount)
    rows = [("remaining", credits(advice.remaining)), ("used", advice.used), ("limit", credits(advice.limit))]
    told = "[bold green]Yes.[/]" if advice.success else f"[bold red]No.[/] {advice.message or advice.code}"
    Output(as_json).answer(advice, told, table(("", ""), rows))


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Your project", {"check": check})
    _register(app, "Spending", {"check-credits": check_credits})
