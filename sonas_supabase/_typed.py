"""The one statement of the transports over drivers that ask for the type of each value. No I/O."""

from __future__ import annotations

import json
from typing import Any

from sonas_supabase._call import Call
from sonas_supabase.calls._types import TYPES


def typed_statement(call: Call[Any], placeholder: str) -> tuple[str, dict[str, str]]:
    """The call and its values by name. They travel as text, and Postgres reads them as it declared them.

    ``placeholder`` is how the driver writes the place of a value: ``:{}`` with its name, or ``${}`` with its number.
    Names of functions and arguments are those of this library; nothing of the caller's stands in the text.
    """
    values = {name: value if isinstance(value, str) else json.dumps(value) for name, value in call.params.items()}
    arguments = []
    for number, name in enumerate(values, 1):
        place = placeholder.format(number if placeholder.startswith("$") else name)
        arguments.append(f"{name} => cast(cast({place} as text) as {TYPES[call.function][name]})")
    return f"select cast(public.{call.function}({', '.join(arguments)}) as text)", values
