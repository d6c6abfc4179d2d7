"""What a public function still needs before the edge can be built: one sentence each, with the file to write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scripts.edge.catalog import Function
from scripts.edge.description import Description


def find(root: Path, descriptions: dict[str, Description], functions: dict[str, Function]) -> list[str]:
    """Everything that is missing or does not agree."""
    problems = []
    for name in sorted(functions.keys() - descriptions.keys()):
        problems.append(f"public.{name} is in the database and has no description in supabase/schemas")
    for name in sorted(descriptions.keys() - functions.keys()):
        problems.append(f"{_where(root, descriptions[name])}: public.{name} is described and not in the database")
    for name, description in descriptions.items():
        if name in functions:
            problems += _disagreements(root, description, functions[name])
            problems += _no_test(root, description)
            problems += _no_bad_input(functions[name])
            problems += _no_response(root, description, functions[name])
    return problems


def _disagreements(root: Path, description: Description, function: Function) -> Iterable[str]:
    where, name = _where(root, description), description.name
    if set(function.callers) != set(description.callers):
        may = ", ".join(function.callers) or "no API role"
        yield (
            f"{where}: public.{name} is described with callers={','.join(description.callers)}, but {may} may call "
            "it. Mend the line or the grants below the function"
        )
    if not function.comment:
        yield (
            f"{where}: public.{name} has no comment, so docs/sql.md says nothing of it. Write `comment on function "
            f"public.{name}(…) is '…';` below the function"
        )
    given = {argument.name for argument in function.arguments}
    if any(not argument.name for argument in function.arguments):
        yield f"{where}: public.{name} has an argument without a name. Give every argument a name that starts with p_"
    if description.keyed and not given & {"idempotency_key", "items"}:
        yield f"{where}: public.{name} is described as keyed and takes no p_idempotency_key"
    if "idempotency_key" in given and not description.keyed:
        yield f"{where}: public.{name} takes p_idempotency_key and is not described as keyed"
    for argument in {
        *description.required,
        *description.reads,
        *filter(None, [description.repeatable_without]),
    } - given:
        yield f"{where}: the description of public.{name} names {argument}, which is none of its arguments"
    if function.reads_only and not description.repeatable:
        yield f"{where}: public.{name} only reads: describe it as repeatable"


def _no_test(root: Path, description: Description) -> Iterable[str]:
    name = description.name
    pgtap = root / "supabase" / "tests" / name
    if any(pgtap.glob("*.test.sql")):
        return
    if any((root / "tests").glob(f"*/test_{name}.py")) or any((root / "tests").glob(f"*/{name}/test_*.py")):
        return
    yield (
        f"public.{name} has no behaviour test. Write supabase/tests/{name}/<what_it_does>.test.sql (pgTAP), or "
        f"tests/<folder>/test_{name}.py"
    )


def _no_bad_input(function: Function) -> Iterable[str]:
    from tests.support.bad_values import ARGUMENTS

    # Where null is the default of a boolean, it has no value that could be wrong.
    given = {each.name for each in function.arguments if (each.type, each.default) != ("boolean", "NULL::boolean")}
    if given and not given & ARGUMENTS:
        yield (
            f"public.{function.name} has no bad input to try: tests/support/bad_values.py has no values for "
            f"{', '.join(f'p_{name}' for name in sorted(given))}. Write a line for one of them"
        )


# What shows or rehearses something and books nothing: a host that was denied may still show it, and answer 402.
SHOWS = {"explain_balance", "explain_operation", "get_credit_history", "get_credit_summary", "verify_checklist"}


def _no_response(root: Path, description: Description, function: Function) -> Iterable[str]:
    if not (function.reads_only or function.responds or function.name in SHOWS):
        yield (
            f"{_where(root, description)}: public.{function.name} succeeds without clearing the 402 of a denial "
            "before it in the same transaction. Write `return credits.respond(<its answer>);`"
        )


def _where(root: Path, description: Description) -> str:
    return description.path.relative_to(root).as_posix()
