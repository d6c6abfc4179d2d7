"""consume, reserve, capture, release, refund."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from sonas_supabase import Answer

from ._connect import AsJson, CreditType, DbUrl, User, Workspace, connect, options
from ._guard import Stop
from ._output import Output, credits, table
from ._register import register as _register

Amount = Annotated[int, typer.Argument(metavar="AMOUNT", help="Whole credits.")]
Description = Annotated[str | None, typer.Option("--description", "-d", help="What it was for.")]
Key = Annotated[str | None, typer.Option("--key", help="Idempotency key: the same request under it takes effect once.")]
Metadata = Annotated[str | None, typer.Option("--metadata", metavar="JSON", help="A JSON object kept with it.")]
Reservation = Annotated[str, typer.Argument(metavar="RESERVATION", help="Id of the hold.", show_default=False)]


def consume(
    user: User,
    credit_type: CreditType,
    amount: Amount = 1,
    description: Description = None,
    key: Key = None,
    metadata: Metadata = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Spend credits, all of the amount or nothing.

    Example: sonas consume free@example.com message 1 -d "Test consumption"
    """
    with connect(db_url) as client:
        answer = client.consume_credits(
            user,
            credit_type,
            amount,
            **options(description=description, idempotency_key=key, metadata=_object(metadata), workspace_id=workspace),
        )
    _show(answer, as_json, "Consumed", answer.amount)


def reserve(
    user: User,
    credit_type: CreditType,
    amount: Amount = 1,
    ttl: Annotated[int, typer.Option("--ttl", metavar="SECONDS", help="How long it is held: 1 to 86400.")] = 900,
    description: Description = None,
    key: Key = None,
    metadata: Metadata = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Hold credits for work in progress, to be captured or released.

    Example: sonas reserve free@example.com message 5 --ttl 60
    """
    with connect(db_url) as client:
        answer = client.reserve_credits(
            user,
            credit_type,
            amount,
            ttl_seconds=ttl,
            **options(description=description, idempotency_key=key, metadata=_object(metadata), workspace_id=workspace),
        )
    _show(answer, as_json, "Held", answer.amount, ("reservation", answer.reservation_id), ("until", answer.expires_at))


def capture(
    user: User,
    reservation: Reservation,
    amount: Annotated[int | None, typer.Argument(metavar="AMOUNT", help="What it cost; all of it if left out.")] = None,
    description: Description = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Charge a hold; what is not charged goes back.

    Example: sonas capture free@example.com 5c8f3b0e-2b7e-4d5e-9a43-0d6f1f6a7c21 3
    """
    with connect(db_url) as client:
        answer = client.capture_credits(
            user, reservation, amount, **options(description=description, workspace_id=workspace)
        )
    _show(answer, as_json, "Captured", answer.captured, ("released", answer.released), ("shortfall", answer.shortfall))


def release(
    user: User,
    reservation: Reservation,
    reason: Annotated[str | None, typer.Option("--reason", help="Why.")] = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give a hold back.

    Example: sonas release free@example.com 5c8f3b0e-2b7e-4d5e-9a43-0d6f1f6a7c21
    """
    with connect(db_url) as client:
        answer = client.release_credits(user, reservation, **options(reason=reason, workspace_id=workspace))
    _show(answer, as_json, "Released", answer.released)


def refund(
    user: User,
    operation: Annotated[str, typer.Argument(metavar="OPERATION", help="Id of the operation.", show_default=False)],
    amount: Annotated[
        int | None, typer.Argument(metavar="AMOUNT", help="Credits; what is left of it if left out.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why.")] = None,
    key: Key = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give back what an operation cost, into the very grants it came from.

    Example: sonas refund free@example.com 773ef3ba-509f-4a59-97c1-383a1b733311
    """
    with connect(db_url) as client:
        answer = client.refund_credits(
            user, operation, amount, **options(reason=reason, idempotency_key=key, workspace_id=workspace)
        )
    expired = [("expired meanwhile", answer.expired)] if answer.expired else []
    _show(answer, as_json, "Refunded", answer.amount, *expired)


def _show(answer: Answer, as_json: bool, did: str, amount: int, *more: tuple[str, Any]) -> None:
    rows = [
        ("remaining", credits(answer.remaining)),
        ("used", answer.used),
        *more,
        ("operation", answer.operation_id),
    ]
    again = " (answered as the first time)" if answer.replayed else ""
    Output(as_json).answer(
        answer, f"[bold green]{did} {amount:,} {answer.credit_type}[/]{again}", table(("", ""), rows)
    )


def _object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Stop("--metadata is not a JSON object.", """Such as: --metadata '{"model": "small"}'""", code="usage")
    return value


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(
        app,
        "Spending",
        {"consume": consume, "reserve": reserve, "capture": capture, "release": release, "refund": refund},
    )
