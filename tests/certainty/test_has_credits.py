"""Policies of a project's own tables ask `has_credits` and `within_limit`, through PostgREST, as the users."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from sonas_supabase import local, migrations
from sonas_supabase.doctor import in_the_way
from tests.support.api import Api
from tests.support.database import Database, copied_database
from tests.support.server import Server
from tests.support.timed import Timed


@pytest.fixture
def drafts(database: Database, api: Api) -> Iterator[str]:
    """A table in which a row may be added by whoever has two credits, and room for one more project."""
    database.run("""
        create table public.drafts (id uuid primary key default gen_random_uuid(), user_id uuid not null);
        alter table public.drafts enable row level security;
        grant insert, select on public.drafts to authenticated;
        create policy "Users with credits add drafts" on public.drafts for insert to authenticated
          with check (user_id = (select auth.uid()) and (select has_credits('message', 2))
            and (select within_limit('project')));
        create policy "Users read their drafts" on public.drafts for select to authenticated
          using (user_id = (select auth.uid()));
        notify pgrst, 'reload schema';
    """)
    yield "drafts"
    database.run("drop table public.drafts; notify pgrst, 'reload schema'")


def add(api: Api, user: UUID) -> int:
    with api.client(api.user_token(user)) as client:
        # The schema cache is read a moment after the notice, later on a busy machine.
        deadline = time.monotonic() + 30
        while True:
            answer = client.post("/drafts", json={"user_id": str(user)})
            if answer.status_code != 404 or time.monotonic() > deadline:
                return answer.status_code


def test_a_policy_lets_in_who_has_credits_and_room(database: Database, api: Api, drafts: str) -> None:
    user = database.new_user()
    assert add(api, user) == 201
    database.call("consume_credits", user_id=user, credit_type="message", amount=9)
    assert add(api, user) == 403
    database.call("grant_credits", user_id=user, credit_type="message", amount=1)
    assert add(api, user) == 201
    database.call("consume_credits", user_id=user, credit_type="project", amount=3)
    assert add(api, user) == 403


def test_a_frozen_account_is_let_in_nowhere(database: Database, api: Api, drafts: str) -> None:
    user = database.new_user()
    database.call("freeze_account", user_id=user)
    assert add(api, user) == 403


def test_it_is_right_to_the_second(database: Database) -> None:
    user = Timed(database)
    user.call("consume_credits", credit_type="message", amount=10)

    def has() -> object:
        with database.connect(autocommit=False) as connection:
            connection.execute(f"select set_config('request.jwt.claims', '{{\"sub\": \"{user.id}\"}}', true)".encode())
            connection.execute("set local role authenticated")
            row = connection.execute("select has_credits('message'), within_limit('project')").fetchone()
            return tuple(row or ())

    assert has() == (False, True)
    user.at(user.period_end)
    assert has() == (True, True)


def test_nobody_has_none(database: Database) -> None:
    assert database.value("select has_credits('message')") is False
    assert database.value("select within_limit('project')") is False


def test_they_answer_beside_a_usage_table_of_the_projects_that_was_renamed(server: Server) -> None:
    """The cure of a clash is a rename; policies of the project's own go along, and ask what the user has."""
    with copied_database(server, template="template0") as project:
        local.shape(project.superuser_url)
        project.run("""
            create table public.usage (id bigint generated always as identity primary key, owner_id uuid not null,
              feature text not null);
            alter table public.usage enable row level security;
            grant insert on public.usage to authenticated;
            alter table public.usage rename to app_usage;
        """)
        [clash] = in_the_way(project.connection, migrations.migrations()[0].sql)
        assert (clash.object, clash.cure) == (
            "index public.usage_pkey", ("alter index public.usage_pkey rename to app_usage_pkey;",)
        )  # fmt: skip
        for statement in clash.cure:
            project.run(statement)
        local.migrate(project.url)
        project.run("""
            create policy "Users with credits use features" on public.app_usage for insert to authenticated
              with check (owner_id = (select auth.uid()) and (select has_credits('message', 10))
                and (select within_limit('project')));
        """)
        user = project.new_user()

        def use() -> None:
            with project.connect(autocommit=False) as connection:
                connection.execute(f"select set_config('request.jwt.claims', '{{\"sub\": \"{user}\"}}', true)".encode())
                connection.execute("set local role authenticated")
                connection.execute(
                    f"insert into public.app_usage (owner_id, feature) values ('{user}', 'search')".encode()
                )
                connection.commit()

        use()
        project.call("consume_credits", user, "message", 1)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            use()
        assert project.value("select count(*) from public.usage where account_id = %s", user) == 1
        assert project.value("select count(*) from public.app_usage") == 1
        project.verify(user)
