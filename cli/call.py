"""call: any function of the credit system by its name, for what has no command of its own."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import typer

from sonas_supabase import CreditsClient

from ._connect import AsJson, DbUrl, connect
from ._guard import Stop
from ._output import Output
from ._people import suggestion
from ._register import register as _register
from ._times import in_zone

# These make a client or go with one; they are no functions of the database.
_OWN = frozenset({"close", "reserve", "iter_credit_history"})


def functions() -> list[str]:
    """The functions that can be called: the client has a method for each."""
    return sorted(
        name
        for name, method in inspect.getmembers(CreditsClient, inspect.isfunction)
        if not name.startswith("_") and name not in _OWN
    )


def call(
    function: Annotated[
        str,
        typer.Argument(
            metavar="FUNCTION",
            help="Such as get_credit_summary; `--list` shows all of them.",
            autocompletion=lambda incomplete: [name for name in functions() if name.startswith(incomplete)],
            show_default=False,
        ),
    ] = "",
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Its arguments; a user by e-mail or id.", show_default=False),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the functions with their arguments.")] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Call a function of the credit system by its name, and print what it answers as JSON.

    Example: sonas call get_credit_summary user_id=free@example.com
    """
    output = Output(as_json)
    if list_ or not function:
        shown = {name: list(_parameters(name)) for name in functions()}
        output.answer({"functions": shown}, *(f"{name}({', '.join(given)})" for name, given in shown.items()))
        return
    if function not in functions():
        raise Stop(
            f"There is no function {function}.",
            f"{suggestion(function, functions())}`sonas call --list` shows all of them.",
            code="usage",
        )
    given = _given(function, arguments or [])
    with connect(db_url) as client:
        output.json(getattr(client, function)(**given))


def _parameters(function: str) -> dict[str, inspect.Parameter]:
    found = inspect.signature(getattr(CreditsClient, function)).parameters
    return {name: one for name, one in found.items() if name not in ("self", "timeout", "retries")}


def _given(function: str, arguments: list[str]) -> dict[str, Any]:
    parameters = _parameters(function)
    given: dict[str, Any] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        name = name.removeprefix("p_")
        if not equals or name not in parameters:
            raise Stop(
                f"{function} has no argument {name}." if equals else f"{argument} is no NAME=VALUE.",
                f"{suggestion(name, parameters)}It takes: {', '.join(parameters)}.",
                code="usage",
            )
        given[name] = _read(name, value, str(parameters[name].annotation))
    if missing := [
        name for name, one in parameters.items() if one.default is inspect.Parameter.empty and name not in given
    ]:
        raise Stop(f"{function} needs {', '.join(missing)}.", f"Pass {missing[0]}=…", code="usage")
    return given


def _read(name: str, value: str, kind: str) -> Any:
    """A value as the argument wants it."""
    readers: dict[str, Callable[[str], Any]] = {
        "int": int,
        "bool": lambda text: {"true": True, "false": False}[text.lower()],
        "datetime": lambda text: in_zone(datetime.fromisoformat(text)),
        "Mapping": json.loads,
        "Sequence": lambda text: json.loads(text) if text.startswith("[") else text.split(","),
        "Iterable": json.loads,
    }
    reader = next((reader for begin, reader in readers.items() if kind.startswith(begin)), str)
    try:
        return reader(value)
    except (ValueError, KeyError):
        raise Stop(f"{name} cannot be {value}.", f"It is {kind}; times as 2027-01-31T12:00.", code="usage") from None


def register(app: typer.Typer) -> None:
    """Adds the command."""
    _register(app, "Your project", {"call": call})
