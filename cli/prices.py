"""prices list, quote, import, export, push; plans export, push: what is on sale, as files under version control."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from sonas_supabase import CreditsClient, InvalidArgument, PriceChanges, PricePage
from sonas_supabase.prices import BookFile, BookFileProblem, PlansFile, from_genai_prices

from ._connect import AsJson, DbUrl, connect
from ._guard import Stop, guarded
from ._output import Output, table
from ._register import DataDir, with_data_dir
from ._register import register as _register
from .accounts import plans as show_plans

Book = Annotated[
    str | None, typer.Option("--book", metavar="BOOK", help="The price book; the default one if left out.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]
_CHUNK = 2000


def list_(
    operation: Annotated[str | None, typer.Argument(metavar="OPERATION", help="Only its prices.")] = None,
    book: Book = None,
    dates: Annotated[bool, typer.Option("--all-dates", help="Also prices that ended or are planned.")] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """What operations cost, by dimension. Of several prices that fit an operation the most specific one counts.

    Example: sonas prices list openai/gpt-5
    """
    now = datetime.now(UTC)
    with connect(db_url) as client:
        page, prices = _all(client, book, operation)
    if not dates:
        prices = [p for p in prices if p.valid_from <= now and (p.valid_to is None or p.valid_to > now)]
    unit = page.credit_type
    rows = [
        (p.operation, p.dimension, _figure(p.nano_per_unit), p.per, _bounds(p), _since(p.valid_from), _day(p.valid_to))
        for p in sorted(prices, key=lambda p: (p.operation, p.dimension, p.valid_from))
    ]
    Output(as_json).answer(
        {**asdict(page), "prices": [asdict(price) for price in prices]},
        table(("operation", "dimension", f"#{unit} credits", "#per", "at least / most", "from", "until"), rows)
        if rows
        else f"The book {page.book} has no prices yet. Import some: "
        "sonas prices import genai-prices --markup 1.3 --credits-per-unit 1000",
    )


def quote(
    operation: Annotated[str, typer.Argument(metavar="OPERATION", show_default=False)],
    quantities: Annotated[
        list[str] | None, typer.Argument(metavar="DIMENSION=AMOUNT…", help="How much; one call if left out.")
    ] = None,
    book: Book = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """What an operation would cost now. Books nothing.

    Example: sonas prices quote openai/gpt-5 input=1200 output=350
    """
    with connect(db_url) as client:
        answer = client.quote_operation(operation, _quantities(quantities) or None, book=book)
    output = Output(as_json)
    rows = [
        (line.dimension, line.quantity, _figure(line.nano_per_unit), line.per, line.pattern, _plain(line.cost))
        for line in answer.lines
    ]
    output.answer(
        answer,
        table(("dimension", "#quantity", "#price", "#per", "priced as", "#credits"), rows),
        f"{_plain(answer.cost)} {answer.credit_type} credits, at most {answer.maximum} whole ones "
        f"(price version {answer.price_version}).",
    )


def import_(
    source: Annotated[str, typer.Argument(metavar="genai-prices|FILE", show_default=False)],
    markup: Annotated[str | None, typer.Option("--markup", metavar="FACTOR", help="Price = cost times this.")] = None,
    provider: Annotated[list[str] | None, typer.Option("--provider", help="Only its models; repeat it.")] = None,
    model: Annotated[list[str] | None, typer.Option("--model", help="Only this PROVIDER/MODEL; repeat it.")] = None,
    credits_per_unit: Annotated[
        str | None,
        typer.Option("--credits-per-unit", metavar="N", help="Credits for one dollar; the book keeps it."),
    ] = None,
    book: Book = None,
    dry_run: DryRun = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add prices: of models from the package genai-prices (offline), or from a file of `sonas prices export`.

    The book has to know what a credit is worth: say it once. Prices with steps keep them; a model
    whose prices cannot be kept as they are is left out and named.

    Example: sonas prices import genai-prices --provider openai --markup 1.3 --credits-per-unit 1000 --dry-run
    """
    if source != "genai-prices":
        push(Path(source), book=book, dry_run=dry_run, end_missing=False, db_url=db_url, as_json=as_json)
        return
    factor = _positive(markup)
    if factor is None:
        raise Stop("Say by which factor the cost makes the price.", "For example --markup 1.3", code="invalid_argument")
    worth = _positive(credits_per_unit)
    if credits_per_unit is not None and worth is None:
        raise Stop("Say how many credits a dollar is worth.", "For example 1000", code="invalid_argument")
    try:
        found = from_genai_prices(markup=factor, providers=provider or (), models=model or ())
    except LookupError as error:
        raise Stop(str(error.args[0]), "The names are those of genai-prices.", code="invalid_argument") from error
    output = Output(as_json)
    with connect(db_url) as client:
        changes = _set(client, found.prices, book, dry_run, credits_per_unit=worth)
    _show(output, changes, extra={"refused": dict(found.refused), "source": found.source})
    for name, reason in sorted(found.refused.items()):
        output.note(f"left out {name}: {reason}")


def export(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where to; printed if left out.")] = None,
    book: Book = None,
    db_url: DbUrl = None,
) -> None:
    """Write the prices that count now or are planned to a file that `sonas prices push` reads.

    It has what providers charge and the markup in it: keep it where the code is, not where customers read.

    Example: sonas prices export prices.toml
    """
    with connect(db_url) as client:
        page, prices = _all(client, book, costs=True)
    text = BookFile.of(_json(asdict(page)), [_json(asdict(price)) for price in prices]).text()
    if file is None:
        Output().raw(text)
    else:
        file.write_text(text, "utf-8")
        Output().note(f"{file}: {len(prices)} prices of the book {page.book}")


def push(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    book: Book = None,
    end_missing: Annotated[
        bool, typer.Option("--end-missing", help="End the prices that are not in the file.")
    ] = False,
    dry_run: DryRun = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make the price book what a file says. Prices that change are followed, never overwritten; holds keep theirs.

    Example: sonas prices push prices.toml --dry-run
    """
    try:
        read = BookFile.read(file)
    except BookFileProblem as problem:
        raise Stop(str(problem), "Write one with `sonas prices export`.", code="invalid_argument") from problem
    name = book or str(read.book["id"])
    options = {key: value for key, value in read.book.items() if key != "id"}
    output = Output(as_json)
    with connect(db_url) as client:
        there = _there(client, name)
        wanted = {(price["operation"], price["dimension"]) for price in read.prices}
        missing = sorted({(p.operation, p.dimension) for p in there if p.valid_to is None} - wanted)
        ends = [{"operation": o, "dimension": d, "ends": True} for o, d in missing] if end_missing else []
        changes = _set(client, [*read.prices, *ends], name, dry_run, **options)
    _show(output, changes, extra={"missing": [list(one) for one in missing]})
    if missing and not end_missing:
        output.note(f"{len(missing)} prices of the book are not in the file, and stay: --end-missing ends them.")


def plans_export(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where to; printed if left out.")] = None,
    db_url: DbUrl = None,
) -> None:
    """Write the plans that are on sale to a file that `sonas plans push` reads.

    Example: sonas plans export plans.toml
    """
    with connect(db_url) as client:
        text = PlansFile.of([_json(asdict(plan)) for plan in client.list_plans()]).text()
    if file is None:
        Output().raw(text)
    else:
        file.write_text(text, "utf-8")
        Output().note(f"{file}: the plans that are on sale")


def plans_push(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    dry_run: DryRun = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make the plans what a file says. A changed plan is a new version, which each account takes at its next period.

    A plan that is not in the file stays.

    Example: sonas plans push plans.toml --dry-run
    """
    try:
        plans = PlansFile.read(file).plans
    except BookFileProblem as problem:
        raise Stop(str(problem), "Write one with `sonas plans export`.", code="invalid_argument") from problem
    with connect(db_url) as client:
        answer = client.set_plans([dict(plan) for plan in plans], dry_run=dry_run)
    lines = [
        f"{_sign(change)} {change['plan_id']} {change['what']}: {_value(change['before'])} → {_value(change['after'])}"
        for change in answer.changes
    ]
    done = "would change" if dry_run else "changed"
    Output(as_json).answer(answer, *lines, f"{len(lines)} {done}.")


def _all(
    client: CreditsClient, book: str | None, operation: str | None = None, *, costs: bool = False
) -> tuple[PricePage, list[Any]]:
    page = client.list_prices(book=book, operation=operation, costs=costs)
    prices = list(page.prices)
    while page.more:
        page = client.list_prices(book=book, operation=operation, costs=costs, after_version=page.prices[-1].version)
        prices += page.prices
    return page, prices


def _positive(text: str | None) -> Decimal | None:
    """A figure above 0 and below a billion."""
    try:
        figure = Decimal(text or "")
    except InvalidOperation:
        return None
    return figure if figure.is_finite() and 0 < figure < 10**9 else None


def _there(client: CreditsClient, book: str) -> list[Any]:
    """The prices of a book; a new one has none."""
    try:
        return _all(client, book)[1]
    except InvalidArgument as error:
        if error.details.get("argument") != "p_book":
            raise
        return []


def _set(
    client: CreditsClient,
    prices: Sequence[Mapping[str, Any]],
    book: str | None,
    dry_run: bool,
    **worth: Any,
) -> list[PriceChanges]:
    try:
        return [
            client.set_prices(
                [dict(price) for price in prices[n : n + _CHUNK]], book=book or "default", dry_run=dry_run, **worth
            )
            for n in range(0, max(len(prices), 1), _CHUNK)
        ]
    except InvalidArgument as error:
        if "credits_per_unit" not in error.details:
            raise
        raise Stop(
            f"The book {book or 'default'} does not say how many credits one unit of its currency is worth.",
            "Say it once: --credits-per-unit 1000, or credits_per_unit in [book] of a file.",
            code="invalid_argument",
        ) from error


def _show(output: Output, answers: Sequence[PriceChanges], extra: Mapping[str, Any]) -> None:
    changes = [change for answer in answers for change in answer.changes]
    unchanged = sum(answer.unchanged for answer in answers)
    dry = answers[0].dry_run
    lines = [
        f"{_sign(change)} {change['operation']} {change['dimension']}: "
        f"{_price(change['before'])} → {_price(change['after'])}"
        + (f" from {change['valid_from']}" if change.get("valid_from") else "")
        for change in changes
    ]
    output.answer(
        {"success": True, "dry_run": dry, "changed": len(changes), "unchanged": unchanged, "changes": changes, **extra},
        *lines,
        f"{len(changes)} {'would change' if dry else 'changed'}, {unchanged} unchanged.",
    )


def _sign(change: Mapping[str, Any]) -> str:
    return "+" if change["before"] is None else "-" if change["after"] is None else "~"


def _value(value: Any) -> str:
    return "none" if value is None else str(value)


def _price(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "no price"
    per = f" per {figures['per']}" if figures["per"] != 1 else ""
    steps = f" ({len(figures['steps'])} steps)" if figures.get("steps") else ""
    return f"{_figure(Decimal(figures['nano_per_unit']))}{per}{steps}"


def _figure(nano: Decimal | None) -> str:
    """A price in credits; a person reads no billionths."""
    return "" if nano is None else _plain(nano.scaleb(-9))


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _bounds(price: Any) -> str:
    least, most = price.minimum_nano, price.maximum_nano
    if least is None and most is None:
        return ""
    return " / ".join("-" if bound is None else _figure(Decimal(bound)) for bound in (least, most))


def _since(moment: datetime) -> str:
    return "" if moment.timestamp() == 0 else _day(moment)


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _quantities(given: Iterable[str] | None) -> dict[str, str]:
    quantities = {}
    for item in given or ():
        name, sign, amount = item.partition("=")
        if not sign:
            raise Stop(f"{item} is no quantity.", "Say DIMENSION=AMOUNT, such as input=1200", code="invalid_argument")
        quantities[name] = amount
    return quantities


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return _plain(value) if isinstance(value, Decimal) else value


def register(app: typer.Typer) -> None:
    """Add the groups."""
    prices = typer.Typer(help="What operations cost: list, quote, import, export, push.", no_args_is_help=True)
    _register(prices, "", {"list": list_, "quote": quote, "import": import_, "export": export, "push": push})
    app.add_typer(prices, name="prices", rich_help_panel="Prices")
    plans = typer.Typer(invoke_without_command=True, epilog="Example: `sonas plans`")

    @plans.callback(help="Show what is on sale: every plan, what it includes per month, and its price.")
    def show(ctx: typer.Context, db_url: DbUrl = None, as_json: AsJson = False, data_dir: DataDir = None) -> None:
        if ctx.invoked_subcommand is None:
            with_data_dir(guarded(show_plans))(db_url=db_url, as_json=as_json, data_dir=data_dir)

    _register(plans, "", {"export": plans_export, "push": plans_push})
    app.add_typer(plans, name="plans", rich_help_panel="Prices")
