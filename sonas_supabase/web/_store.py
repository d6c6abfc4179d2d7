"""The app's own tables: its projects, and what its pages read of the usage log.

Every statement names the owner. Credits are never touched here: the trigger on ``projects`` charges for a new row and
gives a deleted one back, in the transaction of the write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from sonas_supabase import InvalidArgument, error_of
from sonas_supabase.web._lines import GrantFacts
from sonas_supabase.web._scope import Scope
from sonas_supabase.web._work import Draft, Project

_FEW_DAYS, _MANY_DAYS = 30, 92

Connection = psycopg.AsyncConnection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """An attempt that was refused, at ``created_at`` (UTC): what was asked for, and what there was.

    Where ``refused`` is False, what it cost was paid for by a part of a credit that was left over: no credit moved.
    """

    operation_id: UUID
    credit_type: str
    description: str | None
    created_at: datetime
    required: int | None = None
    available: int | None = None
    refused: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOfUse:
    """Credits of one type used on one day of the viewer's calendar, and how many attempts were refused."""

    day: date
    credit_type: str
    credits: int
    since_renewal: int = 0
    denied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPage:
    """A page of projects, and how many there are in all."""

    projects: list[Project]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoUser:
    """Somebody whom a local visitor may sign in as."""

    id: UUID
    email: str
    plan: str


class Store:
    """A pool of connections, opened at the first use."""

    def __init__(self, database_url: str, *, pool_size: int = 10, timeout: float = 10) -> None:
        self._pool = AsyncConnectionPool(
            database_url,
            connection_class=psycopg.AsyncConnection[dict[str, Any]],
            kwargs={"row_factory": dict_row, "prepare_threshold": None},
            min_size=0,
            max_size=pool_size,
            timeout=timeout,
            open=False,
            name="sonas_supabase.web",
        )

    async def close(self) -> None:
        """Closes the pool."""
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection whose writes are kept when the block ends well. A denial by the trigger is raised as one."""
        await self._pool.open()
        try:
            async with self._pool.connection() as connection:
                yield connection
        except psycopg.Error as error:
            known = error_of(error)
            if known is None:
                raise
            raise known from error

    async def projects(
        self, owner_id: UUID, *, limit: int, before: tuple[datetime, UUID] | None = None, name: str | None = None
    ) -> ProjectPage:
        """The owner's projects, the newest first, without what is in their files."""
        created_at, project_id = before or (None, None)
        rows = await self._rows(
            """
            with mine as (
              select p.id, p.name, p.created_at, p.files from public.projects p
              where p.owner_id = %(owner)s
                and (%(name)s::text is null or position(lower(%(name)s) in lower(p.name)) > 0)
            )
            select m.id, m.name, m.created_at, (select count(*) from mine) as total,
              (select coalesce(jsonb_object_agg(f.path, ''), '{}') from jsonb_object_keys(m.files) f(path)) as files
            from mine m
            where %(at)s::timestamptz is null
              or (m.created_at, m.id) < (%(at)s::timestamptz, %(id)s::uuid)
            order by m.created_at desc, m.id desc limit %(limit)s
            """,
            owner=owner_id,
            name=name,
            at=created_at,
            id=project_id,
            limit=limit,
        )
        total = rows[0].pop("total") if rows else 0
        return ProjectPage(
            projects=[Project(**{name: row[name] for name in ("id", "name", "files", "created_at")}) for row in rows],
            total=total,
        )

    async def project(self, owner_id: UUID, project_id: UUID) -> Project | None:
        """One of the owner's projects; None for anybody else's."""
        rows = await self._rows(
            "select p.id, p.name, p.files, p.created_at from public.projects p where p.owner_id = %s and p.id = %s",
            owner_id,
            project_id,
        )
        return Project(**rows[0]) if rows else None

    async def add_project(
        self, connection: Connection, owner_id: UUID, project_id: UUID, draft: Draft
    ) -> Project | None:
        """Stores a draft in the caller's transaction. None when that project is there already."""
        cursor = await connection.execute(
            """
            insert into public.projects (id, owner_id, name, files) values (%s, %s, %s, %s)
            on conflict (id) do nothing returning id, name, files, created_at
            """,
            (project_id, owner_id, draft.name, Jsonb(draft.files)),
        )
        row = await cursor.fetchone()
        return Project(**row) if row else None

    async def delete_project(self, owner_id: UUID, project_id: UUID) -> bool:
        """Deletes one of the owner's projects, which gives its place back. False when there is none."""
        rows = await self._rows(
            "delete from public.projects p where p.owner_id = %s and p.id = %s returning p.id", owner_id, project_id
        )
        return bool(rows)

    async def days_of_use(
        self, scope: Scope, now: datetime, renewed_at: datetime | None, days: int | None, time_zone: str
    ) -> tuple[date, date | None, int, list[DayOfUse]]:
        """The use of each of the ``days`` until ``now`` on the calendar of ``time_zone``.

        Answers today, the day of ``renewed_at``, how many days there are, and their use. Without ``days`` there are as
        many as the running period has, thirty at least.

        Raises:
            InvalidArgument: the database knows no such time zone.
        """
        values: dict[str, Any] = {
            "account": scope.account_id,
            "actor": scope.actor,
            "now": now,
            "renewed": renewed_at,
            "zone": time_zone,
        }
        async with self.transaction() as connection:
            try:
                cursor = await connection.execute(
                    """
                    select (%(now)s::timestamptz at time zone %(zone)s)::date as today,
                      (%(renewed)s::timestamptz at time zone %(zone)s)::date as renewed_on
                    """,
                    values,
                )
            except psycopg.errors.InvalidParameterValue as error:
                raise InvalidArgument(
                    "There is no such time zone.",
                    details={"argument": "time_zone"},
                    hint="Pass a name of the IANA time zone database, such as Europe/Paris.",
                ) from error
            [row] = await cursor.fetchall()
            today, renewed_on = row["today"], row["renewed_on"]
            if days is None:
                of_period = (today - renewed_on).days + 1 if renewed_on else 0
                days = max(_FEW_DAYS, min(of_period, _MANY_DAYS))
            values["first"] = today - timedelta(days=days - 1)
            cursor = await connection.execute(
                """
                select (u.created_at at time zone %(zone)s)::date as day, u.credit_type,
                  coalesce(sum(u.credits_used), 0)::bigint as credits,
                  coalesce(sum(u.credits_used) filter (where u.created_at >= %(renewed)s::timestamptz), 0)::bigint
                    as since_renewal,
                  count(*) filter (where u.status = 'denied') as denied
                from public.usage u
                where u.account_id = %(account)s and (%(actor)s::uuid is null or u.user_id = %(actor)s)
                  and u.created_at >= %(first)s::timestamp at time zone %(zone)s
                group by 1, 2
                """,
                values,
            )
            return today, renewed_on, days, [DayOfUse(**used) for used in await cursor.fetchall()]

    async def denials(
        self,
        scope: Scope,
        limit: int,
        *,
        before: datetime | None,
        before_id: UUID | None,
        since: datetime | None,
        until: datetime | None,
        credit_type: str | None,
    ) -> list[Denial]:
        """The latest attempts that moved no credit: before an attempt, within a window of time."""
        return [
            Denial(**row)
            for row in await self._rows(
                """
                select u.operation_id, u.credit_type, u.created_at,
                  coalesce(u.description, u.metadata ->> 'operation') as description,
                  case when jsonb_typeof(u.metadata -> 'required') = 'number'
                    then (u.metadata ->> 'required')::numeric::bigint end as required,
                  case when jsonb_typeof(u.metadata -> 'available') = 'number'
                    then (u.metadata ->> 'available')::numeric::bigint end as available,
                  u.status = 'denied' as refused
                from public.usage u
                where u.account_id = %(account)s and (%(actor)s::uuid is null or u.user_id = %(actor)s)
                  and (u.status = 'denied' or u.credits_used = 0 and u.metadata ? 'cost_nano')
                  and u.created_at <= coalesce(%(before)s::timestamptz, 'infinity')
                  and (%(before)s::timestamptz is null
                    or (u.created_at, u.operation_id) < (%(before)s, %(before_id)s))
                  and (%(since)s::timestamptz is null or u.created_at >= %(since)s)
                  and (%(until)s::timestamptz is null or u.created_at < %(until)s)
                  and (%(type)s::text is null or u.credit_type = %(type)s)
                order by u.created_at desc, u.operation_id desc limit %(limit)s
                """,
                account=scope.account_id,
                actor=scope.actor,
                limit=limit,
                before=before,
                before_id=before_id,
                since=since,
                until=until,
                type=credit_type,
            )
        ]

    async def grants(self, account_id: UUID, grant_ids: Collection[UUID]) -> dict[UUID, GrantFacts]:
        """What there is to know of these grants."""
        rows = await self._rows(
            """
            select g.id, g.source, g.plan_id, g.expires_at from public.credit_grants g
            where g.account_id = %s and g.id = any (%s)
            """,
            account_id,
            list(grant_ids),
        )
        return {row["id"]: GrantFacts(**row) for row in rows}

    async def account_states(self, account_ids: Collection[UUID]) -> dict[UUID, str]:
        """For each account a text that changes when something happens to it. One statement for all of them."""
        rows = await self._rows(
            """
            select a.id, concat_ws(' ',
              (select string_agg(concat(b.credit_type, b.version), ' ') from (
                select n.id as credit_type, (
                  select max(t.version) from public.credit_transactions t
                  where t.account_id = a.id and t.credit_type = n.id) as version
                from (select distinct l.credit_type as id from public.plan_limits l) n) b),
              (select max(u.created_at) from public.usage u where u.account_id = a.id),
              (select concat(count(*), ' ', max(r.expires_at)) from public.credit_reservations r
                where r.account_id = a.id and r.status = 'open'),
              (select concat_ws(' ', s.plan_id, s.status, s.pending_plan_id) from public.subscriptions s
                where s.account_id = a.id)) as state
            from unnest(%s::uuid[]) a(id)
            """,
            list(account_ids),
        )
        return {row["id"]: row["state"] for row in rows}

    async def demo_users(self) -> list[DemoUser]:
        """The users of a local stack whose addresses end in example.com, which belongs to nobody."""
        return [
            DemoUser(**row)
            for row in await self._rows(
                """
                select u.id, u.email, s.plan_id as plan
                from auth.users u join public.subscriptions s on s.account_id = u.id
                where u.email like '%%@example.com' order by u.created_at, u.id limit 50
                """
            )
        ]

    async def add_demo_user(self, email: str) -> UUID | None:
        """Signs a demo user up, with everything that the trigger on auth.users does. None when there is one already."""
        rows = await self._rows(
            """
            insert into auth.users (id, email, role, aud)
            select %(id)s, %(email)s::text, 'authenticated', 'authenticated'
            where not exists (select from auth.users u where u.email = %(email)s::text) returning id
            """,
            id=uuid4(),
            email=email,
        )
        return UUID(str(rows[0]["id"])) if rows else None

    async def rows(self, statement: str, **named: Any) -> list[dict[str, Any]]:
        """What a statement that only reads answers."""
        return await self._rows(statement, **named)

    async def _rows(self, statement: str, *values: Any, **named: Any) -> list[dict[str, Any]]:
        async with self.transaction() as connection:
            cursor = await connection.execute(statement.encode(), named or values or None)
            return await cursor.fetchall()
