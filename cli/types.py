"""types: the project's credit types and plans as Python types, for a type checker to read."""

from __future__ import annotations

import re

import typer

from sonas_supabase import Plan

from ._connect import AsJson, DbUrl, connect
from ._output import Output
from ._register import register as _register


def types(db_url: DbUrl = None, as_json: AsJson = False) -> None:
    """Print a Python module with the project's credit types and plans, for a type checker to find typing mistakes by.

    `CreditType` and `PlanId` are literals of what is there now; print it anew when a plan or a type is added.

    Example: sonas types > credits_types.py
    """
    output = Output(as_json)
    with connect(db_url) as client:
        plans = client.list_plans()
    names = sorted({limit.credit_type for plan in plans for limit in plan.limits})
    if as_json:
        output.json({"success": True, "code": "ok", "credit_types": names, "plans": [plan.id for plan in plans]})
        return
    output.raw(module(names, plans))


def module(credit_types: list[str], plans: tuple[Plan, ...]) -> str:
    """The text of the module."""
    return (
        '"""Credit types and plans of this project. Made by `sonas types`."""\n\n'
        "from __future__ import annotations\n\n"
        "from typing import Final, Literal\n\n"
        f"CreditType = {_literal(credit_types)}\n"
        f"PlanId = {_literal([plan.id for plan in plans])}\n\n"
        + "".join(f"{_constant(name)}: Final = {name!r}\n" for name in credit_types)
    ).replace("'", '"')


def _literal(values: list[str]) -> str:
    return f"Literal[{', '.join(map(repr, values))}]" if values else "str"


def _constant(name: str) -> str:
    constant = re.sub(r"\W", "_", name).upper()
    return constant if constant.isidentifier() else f"TYPE_{constant}"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    _register(app, "Your project", {"types": types})
