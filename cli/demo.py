"""demo: the story of one user, told step by step on a real database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import typer

from sonas_supabase import CreditsClient, InsufficientCredits

from ._connect import AsJson, DbUrl
from ._output import Output, cell, sonas
from ._register import DataDir
from ._register import register as _register
from .accounts import balances_table

if TYPE_CHECKING:
    from collections.abc import Iterator


def demo(data_dir: DataDir = None, db_url: DbUrl = None, as_json: AsJson = False) -> None:
    """Tell the whole story on a real Postgres: sign up, spend, be refused, be reset, upgrade.

    Starts the Postgres of this folder for it, and stops it again if it was not running. With --db-url it is told on
    that database, which keeps the demo user.

    Example: sonas demo
    """
    output = Output(as_json)
    if db_url:
        _tell(output, db_url)
        return
    with _local_database(data_dir, output) as url:
        _tell(output, url)


@contextmanager
def _local_database(data_dir: Any, output: Output) -> Iterator[str]:
    from sonas_supabase.local import LocalStack

    stack = LocalStack(data_dir)
    started = stack.prepare(lambda text: output.note(f"{text} …"))
    try:
        yield stack.database_url
    finally:
        if started:
            stack.cluster.stop()


class _Teller:
    """Numbers the steps, shows them, and keeps what happened for --json."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.steps: list[dict[str, Any]] = []

    def step(self, title: str, call: str, do: Callable[[], Any], tell: Callable[[Any], str]) -> Any:
        try:
            result = do()
            outcome = tell(result)
        except InsufficientCredits as denied:
            result = denied
            outcome = (
                f"[yellow]402 {denied.code}[/]: {denied}\n"
                f"   required {denied.required}, available {denied.available}, "
                f"resets {cell(denied.resets_at)}, upgrade at {denied.upgrade_url}"
            )
        self.steps.append({"title": title, "call": call, "outcome": _unstyled(outcome)})
        self._output.show(f"\n[bold]{len(self.steps)}. {title}[/]", f"   [dim]{call}[/]", f"   {outcome}")
        return result


def _tell(output: Output, url: str) -> None:
    teller = _Teller(output)
    with CreditsClient.from_url(url) as credits:
        user: UUID = teller.step(
            "A user signs up, and is on the free plan",
            "insert into auth.users …",
            lambda: _sign_up(url),
            lambda user: f"{user}: {_left(credits, user)}",
        )
        teller.step(
            "Three messages",
            'credits.consume_credits(user, "message", 3)',
            lambda: credits.consume_credits(user, "message", 3, description="Three messages"),
            lambda answer: f"{answer.remaining} of {answer.limit} left",
        )
        teller.step(
            "The same request twice, as after a lost answer: it costs once",
            'credits.consume_credits(user, "message", 2, idempotency_key="request-1")   # twice',
            lambda: [credits.consume_credits(user, "message", 2, idempotency_key="request-1") for _ in range(2)][-1],
            lambda answer: f"replayed: {cell(answer.replayed)}, {answer.remaining} left",
        )

        def hold() -> Any:
            with credits.reserve(user, "message", 4) as held:
                return held.capture(1)

        teller.step(
            "A hold of 4 for a model call that turns out to cost 1",
            'with credits.reserve(user, "message", 4) as hold: hold.capture(1)',
            hold,
            lambda captured: f"captured {captured.captured}, {captured.released} went back, {captured.remaining} left",
        )
        teller.step(
            "More than there is",
            'credits.consume_credits(user, "message", 5)',
            lambda: credits.consume_credits(user, "message", 5),
            lambda answer: f"[red]allowed, which it should not be[/]: {answer.remaining} left",
        )
        teller.step(
            "Support restarts the allowance",
            "credits.reset_monthly_credits(user)",
            lambda: credits.reset_monthly_credits(user),
            lambda _: _left(credits, user),
        )
        teller.step(
            "An upgrade",
            'credits.change_plan(user, "starter")',
            lambda: credits.change_plan(user, "starter"),
            lambda _: _left(credits, user),
        )
        report = teller.step(
            "The books of this account",
            "credits.verify_books(user)",
            lambda: credits.verify_books(user),
            lambda report: "[green]every rule holds[/]" if report.success else "[red]a rule is broken[/]",
        )
        summary = credits.get_credit_summary(user)
    output.answer(
        {"success": report.success, "code": "ok", "user_id": user, "steps": teller.steps},
        "",
        balances_table(summary.balances),
        f"\nNext: `{sonas()} up` starts all of it, with a dashboard, and stays.",
    )


def _sign_up(url: str) -> UUID:
    """What Supabase Auth does when somebody signs up."""
    import psycopg

    user = uuid4()
    with psycopg.connect(url) as connection:
        connection.execute(
            "insert into auth.users (id, email, aud, role) values (%s, %s, 'authenticated', 'authenticated')",
            (user, f"demo-{user.hex[:8]}@example.com"),
        )
    return user


def _left(credits: CreditsClient, user: UUID) -> str:
    balances = credits.get_credit_summary(user).balances
    return ", ".join(f"{'unlimited' if b.unlimited else cell(b.remaining)} {b.credit_type}" for b in balances)


def _unstyled(text: str) -> str:
    from rich.text import Text

    return Text.from_markup(text).plain


def register(app: typer.Typer) -> None:
    """Adds the command of this module."""
    _register(app, "Local stack", {"demo": demo})
