"""What the pages read of priced operations: the rate card, and what credits went into."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sonas_supabase.web._scope import Scope
from sonas_supabase.web._store import Store

_CARD = """
with now as (
  select p.operation, jsonb_agg(jsonb_build_object('dimension', p.dimension,
    'nano_per_unit', trim_scale(p.nano_per_unit)::text, 'per', p.per,
    'minimum_nano', p.minimum_nano, 'maximum_nano', p.maximum_nano,
    'steps', (select jsonb_agg(jsonb_build_object('above', s.value ->> 'above',
        'nano_per_unit', s.value ->> 'nano_per_unit') order by (s.value ->> 'above')::numeric)
      from jsonb_array_elements(p.steps) s)) order by p.dimension) as prices
  from public.credit_prices p
  where p.book = %(book)s and p.valid_from <= now() and (p.valid_to is null or p.valid_to > now())
    and (%(name)s::text is null or position(lower(%(name)s) in lower(p.operation)) > 0)
  group by p.operation
)
select b.name as book, b.credit_type, (select count(*) from now) as total, coalesce((
    select jsonb_agg(to_jsonb(f) order by f.operation) from (
      select n.* from now n where %(after)s::text is null or n.operation > %(after)s
      order by n.operation limit %(limit)s + 1) f), '[]') as operations
from public.credit_price_books b where b.id = %(book)s
"""
_DRAIN = """
with spent as (
  select u.credit_type, u.credits_used, (u.metadata ->> 'cost_nano')::numeric as cost_nano,
    u.metadata ->> 'operation' as model,
    coalesce(p.name,
      case when u.description like 'Generate: %%' then substr(u.description, 11)
        when u.description like 'Chat: %%' then substr(u.description, 7)
        when u.metadata ->> 'project' !~ '^[0-9a-f-]{36}$' then u.metadata ->> 'project' end) as project
  from public.usage u
  left join public.projects p on p.owner_id = u.user_id and p.id::text = u.metadata ->> 'project'
  where u.account_id = %(account)s and (%(actor)s::uuid is null or u.user_id = %(actor)s) and u.status = 'allowed'
    and u.created_at >= %(since)s and u.credit_type <> all (%(limits)s)
), sums as (
  select 'model' as part, s.model as name, s.credit_type, sum(s.credits_used)::bigint as credits,
    trim_scale(sum(s.cost_nano) * 0.000000001)::text as cost, count(*) as operations
  from spent s where s.model is not null group by s.model, s.credit_type
  union all
  select 'project', s.project, s.credit_type, sum(s.credits_used)::bigint, null, count(*)
  from spent s where s.project is not null group by s.project, s.credit_type
)
select f.part, f.name, f.credit_type, f.credits, f.cost, f.operations
from (select s.*, row_number() over (partition by s.part order by s.credits desc, s.name) as nth from sums s) f
where f.nth <= %(limit)s order by f.part, f.nth
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What ``per`` units of a dimension cost, in billionths of a credit: an exact decimal, as text.

    ``steps`` are the prices of all units above a threshold; minimum and maximum bound the dimension.
    """

    dimension: str
    nano_per_unit: str
    per: int
    minimum_nano: int | None
    maximum_nano: int | None
    steps: list[dict[str, str]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedOperation:
    """An operation, or with a star at its end all that begin so, and what its dimensions cost."""

    operation: str
    prices: list[Rate]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """A page of a price book by name; ``after`` asks for the next one, None after the last."""

    book: str
    credit_type: str
    total: int
    operations: list[RatedOperation]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """What credits of one type went into: a model (or any priced operation), or a project. ``cost`` is exact."""

    name: str
    credit_type: str
    credits: int
    cost: str | None
    operations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drains:
    """The largest of each since ``since`` (UTC)."""

    since: datetime
    models: list[Drain]
    projects: list[Drain]


class Rates:
    """Reads prices and their use."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def card(self, book: str, *, name: str | None, after: str | None, limit: int) -> RateCard:
        """A page of the rate card. A book that nobody has made is an empty one."""
        rows = await self._store.rows(_CARD, book=book, name=name or None, after=after, limit=limit)
        if not rows:
            return RateCard(book=book, credit_type="integration", total=0, operations=[], after=None)
        [row] = rows
        found = [_rated(one) for one in row["operations"]]
        shown = found[:limit]
        return RateCard(
            book=row["book"],
            credit_type=row["credit_type"],
            total=row["total"],
            operations=shown,
            after=shown[-1].operation if len(found) > limit else None,
        )

    async def drains(self, scope: Scope, since: datetime, *, limits: list[str], most: int = 10) -> Drains:
        """What credits went into. ``limits`` are the types that count what exists, and are not spent."""
        found: dict[str, list[Drain]] = {"model": [], "project": []}
        for row in await self._store.rows(
            _DRAIN, account=scope.account_id, actor=scope.actor, since=since, limits=limits, limit=most
        ):
            found[row.pop("part")].append(Drain(**row))
        return Drains(since=since, models=found["model"], projects=found["project"])


def _rated(one: dict[str, Any]) -> RatedOperation:
    return RatedOperation(operation=one["operation"], prices=[Rate(**price) for price in one["prices"]])
