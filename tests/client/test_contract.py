"""The library says what the database says: methods, slugs, variables, names."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sonas_supabase
from sonas_supabase import AsyncCreditsClient, CreditsClient, CreditsError, errors, models
from tests.support.database import Database
from tests.support.sources import source

ROOT = Path(__file__).resolve().parents[2]
# What the client has beside one method per SQL function: making it, ending it, the hold.
# What each method takes beside the parameters of its SQL function.
IN_BETWEEN = ("self", "cls", "timeout", "retries")
OWN_METHODS = {
    "from_env",
    "from_url",
    "from_connection",
    "from_supabase",
    "from_supabase_client",
    "close",
    "reserve",
    "iter_credit_history",
}


def sql_functions(database: Database) -> dict[str, list[str]]:
    """The names of the public functions of this project, and of their parameters."""
    rows = database.query(
        """
        select p.proname, coalesce(p.proargnames, '{}')
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.prokind = 'f' 
          and p.prorettype in ('jsonb'::regtype, 'boolean'::regtype)
        """
    )
    return {name: [parameter.removeprefix("p_") for parameter in parameters] for name, parameters in rows}


def methods_of(client: type[Any]) -> dict[str, list[str]]:
    return {
        name: [parameter for parameter in inspect.signature(member).parameters if parameter not in IN_BETWEEN]
        for name, member in inspect.getmembers(client, callable)
        if not name.startswith("_") and name not in OWN_METHODS
    }


@pytest.mark.parametrize("client", [CreditsClient, AsyncCreditsClient])
def test_one_method_per_sql_function_with_its_parameters(client: type[Any], database: Database) -> None:
    assert methods_of(client) == sql_functions(database)


def test_defaults_are_those_of_sql(database: Database) -> None:
    written = {
        (name, parameter.removeprefix("p_")): default
        for name, arguments in database.query(
            "select proname, pg_get_function_arguments(oid) from pg_catalog.pg_proc "
            "where pronamespace = 'public'::regnamespace and prorettype = 'jsonb'::regtype"
        )
        for parameter, default in re.findall(r"(p_\w+) [^,]*? DEFAULT ([^,]+)", arguments)
    }
    compared = 0
    for name, member in inspect.getmembers(CreditsClient, callable):
        if name.startswith("_") or name in OWN_METHODS:
            continue
        for parameter in inspect.signature(member).parameters.values():
            default = written.get((name, parameter.name))
            if parameter.default in (None, inspect.Parameter.empty) or default is None:
                continue
            literal = re.sub(r"::\w+$", "", default).strip("'")
            assert str(parameter.default).lower() == literal.lower(), f"{name}({parameter.name})"
            compared += 1
    assert compared >= 8


def test_both_clients_have_the_same_signatures() -> None:
    for name in {*methods_of(CreditsClient), *OWN_METHODS}:
        sync, asynchronous = (inspect.signature(getattr(c, name)) for c in (CreditsClient, AsyncCreditsClient))
        assert [str(p).replace("Async", "") for p in asynchronous.parameters.values()] == [
            str(p) for p in sync.parameters.values()
        ], name


def test_slugs_are_the_same_in_sql_in_python_and_in_the_docs() -> None:
    raised = source("errors")
    in_sql = dict(re.findall(r"\('(\w+)', 'PT(\d{3})',", raised))
    in_python = {slug: str(kind.status) for slug, kind in errors.ERRORS.items()}
    assert in_python == in_sql
    concepts = (ROOT / "docs/concepts.md").read_text()
    table = concepts[concepts.index("## Errors") : concepts.index("## Idempotency")]
    in_docs = {
        slug: status
        for names, status in re.findall(r"^\| (`.*?`) \| (\d{3}) \|", table, re.MULTILINE)
        for slug in re.findall(r"`(\w+)`", names)
    }
    assert in_docs == in_sql


def test_slugs_raised_anywhere_in_sql_are_on_the_list() -> None:
    used = {
        slug
        for path in (ROOT / "supabase/schemas").glob("*/*.sql")
        for slug in re.findall(r"raise_error\('(\w+)'", path.read_text())
    }
    assert used
    assert used <= set(errors.ERRORS)


def test_denials_are_the_402s() -> None:
    assert {slug for slug, kind in errors.ERRORS.items() if kind.status == 402} == errors.DENIALS


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"^[ │]*[├└]── (\w+)(?: +([a-z_]+))?", errors.__doc__ or "", re.MULTILINE)
    kinds = {kind.__name__: kind for kind in vars(errors).values() if inspect.isclass(kind)}
    tree = {name: kind for name, kind in kinds.items() if issubclass(kind, CreditsError)}
    assert {name for name, _ in drawn} | {"CreditsError"} == set(tree)
    for name, slug in drawn:
        assert not slug or tree[name].code == slug


def test_everything_public_is_exported_and_documented() -> None:
    exported = set(sonas_supabase.__all__)
    assert len(sonas_supabase.__all__) == len(exported)
    defined = {
        name
        for name, member in vars(errors).items()
        if inspect.isclass(member) and member.__module__ == errors.__name__
    } | {*models.__all__}
    assert defined == exported - {*("AsyncCreditsClient", "AsyncHold", "CreditsClient", "Hold", "Settings", "error_of")}
    for name in exported:
        assert inspect.getdoc(getattr(sonas_supabase, name)), name
    for name in methods_of(CreditsClient):
        assert f"SQL: ``{name}``" in (inspect.getdoc(getattr(CreditsClient, name)) or ""), name


def test_the_sync_client_is_generated_from_the_async_one() -> None:
    subprocess.run([sys.executable, ROOT / "scripts/generate_sync.py", "--check"], check=True, cwd=ROOT)


def test_every_variable_that_is_read_is_in_the_example() -> None:
    access = re.compile(
        r"""(?:environ\.get\(|environ\[|getenv\(|values\.get\(|envvar=|require\()\s*f?["']([A-Z][A-Z0-9_{}a-z]+)"""
    )
    read = {
        variable
        for folder in ("sonas_supabase", "cli", "tests", "scripts", "benchmarks", "examples")
        for path in (ROOT / folder).rglob("*.py")
        for variable in access.findall(path.read_text())
    } - {"CI", "PATH", "XDG_CACHE_HOME"}
    # Of a WSGI request, whose environment has the same name.
    read -= {"PATH_INFO", "REQUEST_METHOD"}
    named = set(re.findall(r"^([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert {"DATABASE_URL", "SUPABASE_URL", "SUPABASE_SECRET_KEY", "SONAS_TEST_IMAGE"} <= read
    for variable in read:
        pattern = re.sub(r"\{\w+\}", r"\\w+", variable)
        assert any(re.fullmatch(pattern, name) for name in named), f"not in .env.example: {variable}"
