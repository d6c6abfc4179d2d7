"""Tables of a host project, metered."""

from __future__ import annotations

from uuid import uuid4

from tests.support.database import Database


def metered_projects(database: Database, *, credit_type: str = "project") -> str:
    """A table of projects whose rows cost their owner one credit each; users may write their own rows."""
    table = f"public.projects_{uuid4().hex[:8]}"
    database.run(
        f"create table {table} (id uuid primary key default gen_random_uuid(), owner_id uuid not null, name text);"
        f"alter table {table} enable row level security;"
        f"revoke all on table {table} from public, anon, authenticated, service_role;"
        f"grant select, insert, update, delete on table {table} to authenticated, service_role;"
        f"create policy own on {table} for all to authenticated"
        "  using (owner_id = (select auth.uid())) with check (owner_id = (select auth.uid()));"
    )
    database.value("select credits.meter_table(%s, %s, 'owner_id')", table, credit_type)
    return table
