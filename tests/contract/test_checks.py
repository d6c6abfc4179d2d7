"""What Supabase's own checks say of the migrations, and what they would say if they asked more."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Pushed

empty = pytest.mark.parametrize("host", ["empty"], indirect=True)
exposed = pytest.mark.parametrize("world", ["exposed"], indirect=True)


def test_the_advisors_have_nothing_to_warn_of(pushed: Pushed) -> None:
    said = pushed.cli.run("db", "advisors", "--type", "all", "--level", "warn", "--fail-on", "warn")
    assert said.code == 0, said.out
    assert "No issues found" in said.out


@empty
@pytest.mark.needs("extensions")
def test_every_function_is_sound_for_plpgsql_check(pushed: Pushed) -> None:
    said = pushed.cli.run("db", "lint", "--schema", "public,credits", "--level", "warning", "--fail-on", "warning")
    assert said.code == 0, said.out
    assert "No schema errors found" in said.out


@empty
def test_no_function_lends_its_owners_rights_to_users(pushed: Pushed) -> None:
    """The advisor of the hosted dashboard asks this (0028, 0029); the one in the CLI does not yet."""
    assert (
        pushed.database.query(
            """
            select p.oid::regprocedure::text, r.name
            from pg_proc p cross join (values ('anon'), ('authenticated')) as r(name)
            where p.pronamespace = 'public'::regnamespace and p.prosecdef
              and has_function_privilege(r.name, p.oid, 'execute')
            """
        )
        == []
    )


@empty
def test_api_roles_cannot_name_anything_in_the_core(pushed: Pushed) -> None:
    assert pushed.database.query(
        "select r.name, has_schema_privilege(r.name, 'credits', 'usage') "
        "from (values ('anon'), ('authenticated'), ('service_role')) as r(name)"
    ) == [("anon", False), ("authenticated", False), ("service_role", False)]


@empty
@exposed
def test_types_can_be_generated(pushed: Pushed) -> None:
    said = pushed.cli.run("gen", "types", "--lang", "typescript").succeeded()
    for name in ('"credit_balances"', '"consume_credits"', '"get_credit_summary"', '"p_idempotency_key"'):
        assert name in said.out
    assert '"consume_credits":' in said.out.replace("  ", "")
