"""How a command ends: each kind of failure is a sentence and an exit code, never a traceback.

0 done · 1 refused by a rule (an unknown account, a closed hold, …) · 2 wrong usage, or something is missing here ·
3 not enough credits · 4 the database cannot be reached · 5 a check failed · 130 interrupted
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import typer

from sonas_supabase import CreditsError, CreditsUnavailable, InsufficientCredits, NotConfigured, NotInstalled

from ._output import Output

REFUSED, USAGE, DENIED, UNREACHABLE, CHECK_FAILED, INTERRUPTED = 1, 2, 3, 4, 5, 130

P = ParamSpec("P")
R = TypeVar("R")


class Stop(Exception):
    """Ends a command with a sentence. Raised by commands for what they find out themselves."""

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        code: str = "cannot",
        exit_code: int = USAGE,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.details = details
        self.hint = hint
        self.code = code
        self.exit_code = exit_code


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turns what a command raises into a sentence and an exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        output = Output(bool(kwargs.get("as_json")))
        try:
            return command(*args, **kwargs)
        except Stop as stop:
            output.problem(str(stop), stop.hint, code=stop.code, details=stop.details)
            raise typer.Exit(stop.exit_code) from None
        except CreditsError as error:
            output.problem(str(error), error.hint, code=error.code, details=error.details)
            raise typer.Exit(_exit_code(error)) from None
        except KeyboardInterrupt:
            output.note("Interrupted. Nothing is half done; run it again to go on.")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            found = _foreign_problem(error)
            if found is None:
                raise
            output.problem(str(found), found.hint, code=found.code)
            raise typer.Exit(found.exit_code) from None

    return run


def _exit_code(error: CreditsError) -> int:
    if isinstance(error, InsufficientCredits):
        return DENIED
    if isinstance(error, CreditsUnavailable):
        return UNREACHABLE
    if isinstance(error, NotConfigured | NotInstalled):
        return USAGE
    return REFUSED


def _foreign_problem(error: Exception) -> Stop | None:
    """The sentence behind an error of a part that may not be installed."""
    kinds = {kind.__module__.partition(".")[0]: kind for kind in type(error).__mro__}
    if any(kind.__name__ == "LocalProblem" for kind in type(error).__mro__):
        return Stop(str(error), getattr(error, "hint", ""), code="local")
    if "psycopg" in kinds:
        first = str(error).strip().splitlines()[0]
        hint = getattr(getattr(error, "diag", None), "message_hint", None)
        if type(error).__name__ == "OperationalError" and getattr(error, "sqlstate", None) is None:
            return Stop(
                first, "Is the database running, and is the URL right?", code="unavailable", exit_code=UNREACHABLE
            )
        return Stop(first, hint or "", code=str(getattr(error, "sqlstate", None) or "database"), exit_code=REFUSED)
    if isinstance(error, ModuleNotFoundError):
        extra = "postgres" if (error.name or "").startswith("psycopg") else "local"
        return Stop(
            f"{error.name} is not installed.",
            f'Install it: pip install "sonas-supabase[{extra}]"',
            code="not_installed",
        )
    return None
