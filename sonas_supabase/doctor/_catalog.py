"""What a project has, read from the catalog that every role may read: functions, tables, policies, triggers, views."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

NUMBERS = {20, 21, 23, 700, 701, 790, 1700}
TEXTS = {18, 19, 25, 1042, 1043}
DOCUMENTS = {114, 3802}
TIMES = {1082, 1114, 1184}
UUID = 2950
BOOLEAN = 16

_HOST_SCHEMA = """
  n.nspname !~ '^(pg_|_)' and n.nspname <> all ('{information_schema, auth, storage, realtime, extensions, graphql,
    graphql_public, vault, pgsodium, pgsodium_masks, cron, net, supabase_functions, supabase_migrations, pgbouncer, pgmq,
    pgtle}')
  -- Where the credit system is installed the schema is its own.
  and (n.nspname <> 'credits' or to_regclass('credits.installed_objects') is null)
"""

_ROLES = """
select r.rolname from pg_catalog.pg_roles r
where r.rolname in ('anon', 'authenticated')
  or not r.rolsuper and r.rolname !~ '^(pg_|supabase_)' and r.rolname not in ('authenticator', 'service_role', 'postgres')
    and to_regrole('authenticator') is not null and pg_has_role('authenticator', r.oid, 'member')
order by 1
"""

_SERVED = """
select regexp_split_to_array(substring(c.setting from '=[ "'']*(.*?)[ "'']*$'), '[, "'']+')
from pg_catalog.pg_db_role_setting d
join pg_catalog.pg_database b on b.datname = current_database() and d.setdatabase in (0, b.oid)
cross join unnest(d.setconfig) as c(setting)
where d.setrole = to_regrole('authenticator') and c.setting ~ '^pgrst\\.db[_-]schemas=.'
order by d.setdatabase desc limit 1
"""

_FUNCTIONS = f"""
select p.oid, n.nspname, p.proname, p.oid::regprocedure::text,
  format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), p.prokind::text, p.prosecdef,
  p.prorettype = 'trigger'::regtype, p.prorettype = 'event_trigger'::regtype, l.lanname,
  array(select x.type::bigint from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as x(type, nth)
    where coalesce(p.proargmodes[x.nth], 'i') in ('i', 'b', 'v') order by x.nth),
  array(select coalesce(nullif(p.proargnames[x.nth], ''), '')
    from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as x(type, nth)
    where coalesce(p.proargmodes[x.nth], 'i') in ('i', 'b', 'v') order by x.nth),
  case when p.prokind = 'f' then array(select r.rolname::text from unnest(%(roles)s::text[]) as r(rolname)
    where has_schema_privilege(r.rolname, n.oid, 'usage') and has_function_privilege(r.rolname, p.oid, 'execute')
    order by 1) else '{{}}' end,
  exists (select 1 from unnest(p.proconfig) as c(setting) where c.setting like 'search_path=%%'),
  -- What is longer is not read, and need not come here whole.
  left(case when l.lanname = 'plpgsql' then pg_get_functiondef(p.oid)
    else coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) end, 250000), p.prosqlbody is not null,
  array(select format_type(x.type, null) from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality
      as x(type, nth) where coalesce(p.proargmodes[x.nth], 'i') in ('i', 'b', 'v') order by x.nth)
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
where {_HOST_SCHEMA} and p.prokind in ('f', 'p') and l.lanname in ('sql', 'plpgsql')
  and not (n.nspname = 'public' and p.proname::text = any (%(own_functions)s))
  and not exists (select 1 from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
order by p.oid
"""

_RELATIONS = f"""
select c.oid, n.nspname, c.relname, c.oid::regclass::text, format('%%I.%%I', n.nspname, c.relname), c.relkind::text,
  c.relrowsecurity, coalesce((select lower(o.option_value) in ('on', 'true', 'yes', '1')
    from pg_options_to_table(c.reloptions) o where o.option_name = 'security_invoker'), false),
  case when c.relkind in ('v', 'm') then left(pg_get_viewdef(c.oid), 250000) end,
  c.relowner::regrole::text,
  array(select r.rolname::text from unnest(%(roles)s::text[]) as r(rolname)
    where has_schema_privilege(r.rolname, n.oid, 'usage') order by 1),
  array(select r.rolname::text from unnest(%(roles)s::text[]) as r(rolname)
    where has_table_privilege(r.rolname, c.oid, 'delete') order by 1),
  n.nspname = 'public' and (c.relname::text = any (%(own_relations)s)),
  exists (select 1 from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where {_HOST_SCHEMA} and c.relkind in ('r', 'p', 'v', 'm', 'f')
order by c.oid
"""

_COLUMNS = f"""
select a.attrelid, a.attname, coalesce(nullif(y.typbasetype, 0), y.oid)::bigint, a.attnum, a.attnotnull, a.attgenerated <> '',
  a.attidentity::text, pg_get_expr(d.adbin, d.adrelid), y.typcategory::text, format_type(a.atttypid, a.atttypmod),
  array(select r.rolname::text from unnest(%(roles)s::text[]) as r(rolname)
    where has_column_privilege(r.rolname, a.attrelid, a.attnum, 'update') order by 1),
  array(select r.rolname::text from unnest(%(roles)s::text[]) as r(rolname)
    where has_column_privilege(r.rolname, a.attrelid, a.attnum, 'insert') order by 1),
  array(select r.rolname::text from unnest(%(roles)s::text[]) as r(rolname)
    where has_column_privilege(r.rolname, a.attrelid, a.attnum, 'select') order by 1),
  case when c.relkind = 'v' then pg_column_is_updatable(c.oid, a.attnum, true) else true end,
  exists (select 1 from pg_catalog.pg_constraint k where k.conrelid = c.oid and k.contype = 'p' and a.attnum = any (k.conkey))
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_type y on y.oid = a.atttypid
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where {_HOST_SCHEMA} and c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
"""

_POLICIES = f"""
select y.polrelid, y.polname, y.polcmd::text, y.polpermissive, left(pg_get_expr(y.polqual, y.polrelid), 250000),
  left(pg_get_expr(y.polwithcheck, y.polrelid), 250000),
  array(select r.rolname::text from unnest(%(roles)s::text[]) as r(rolname)
    where 0 = any (y.polroles) or exists (select 1 from unnest(y.polroles) as o(oid)
      where o.oid <> 0 and pg_has_role(r.rolname, o.oid, 'usage')) order by 1)
from pg_catalog.pg_policy y
join pg_catalog.pg_class c on c.oid = y.polrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where {_HOST_SCHEMA}
"""

_TRIGGERS = f"""
select g.tgrelid, g.tgname, g.tgfoid, g.tgtype::integer, pg_get_triggerdef(g.oid, true),
  array(select a.attname::text from unnest(g.tgattr::smallint[]) as x(nth)
    join pg_catalog.pg_attribute a on a.attrelid = g.tgrelid and a.attnum = x.nth)
from pg_catalog.pg_trigger g
join pg_catalog.pg_class c on c.oid = g.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where not g.tgisinternal and g.tgenabled <> 'D' and ({_HOST_SCHEMA} or c.oid = to_regclass('auth.users'))
order by g.tgrelid, g.tgname
"""

_CHECKS = f"""
select k.conrelid, k.contype::text, pg_get_constraintdef(k.oid),
  array(select a.attname::text from unnest(k.conkey) as x(nth)
    join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.nth)
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where {_HOST_SCHEMA} and (k.contype in ('c', 'u', 'p') or k.contype = 'f' and k.confrelid = to_regclass('auth.users'))
union all
select x.indrelid, 'u', '', array(select a.attname::text from unnest(x.indkey::smallint[]) as i(nth)
  join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = i.nth)
from pg_catalog.pg_index x
join pg_catalog.pg_class c on c.oid = x.indrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where {_HOST_SCHEMA} and x.indisunique
"""

_POSITIVE_DOMAINS = """
select distinct k.contypid::bigint from pg_catalog.pg_constraint k
where k.contypid <> 0 and pg_get_constraintdef(k.oid) ~ 'VALUE\\)?(::[a-z]+)? >=? \\(?[01]'
"""

_BASE_TYPES = "select y.oid::bigint, y.typbasetype::bigint from pg_catalog.pg_type y where y.typtype = 'd'"


@dataclass(slots=True)
class Argument:
    """What a caller passes to a function."""

    nth: int
    name: str
    type: int
    type_name: str
    is_positive: bool = False

    @property
    def label(self) -> str:
        """Its name, or its place."""
        return self.name or f"${self.nth}"


@dataclass(slots=True)
class Routine:
    """A function or procedure of the project, with its text."""

    oid: int
    schema: str
    name: str
    signature: str
    title: str
    kind: str
    definer: bool
    is_trigger: bool
    language: str
    arguments: list[Argument]
    open_to: list[str]
    has_search_path: bool
    text: str
    is_standard: bool


@dataclass(slots=True)
class Column:
    """A column with who may write it."""

    name: str
    type: int
    not_null: bool
    generated: bool
    default: str | None
    category: str
    type_name: str
    updated_by: list[str]
    inserted_by: list[str]
    read_by: list[str]
    updatable: bool
    in_key: bool
    identity: str


@dataclass(slots=True)
class Policy:
    """A policy and the API roles it is for."""

    name: str
    command: str
    permissive: bool
    using: str | None
    check: str | None
    roles: list[str]


@dataclass(slots=True)
class Trigger:
    """A trigger: when it runs, and what."""

    table: int
    name: str
    function: int
    type: int
    definition: str
    columns: list[str]

    @property
    def is_before(self) -> bool:
        """Whether it can change or refuse a row."""
        return bool(self.type & 2)

    def runs_at(self, verb: str) -> bool:
        """Whether it runs for this kind of statement."""
        return bool(self.type & {"insert": 4, "delete": 8, "update": 16}[verb])


@dataclass(slots=True)
class Relation:
    """A table or view of the project."""

    oid: int
    schema: str
    name: str
    regclass: str
    title: str
    kind: str
    rls: bool
    invoker: bool
    definition: str | None
    owner: str
    reached_by: list[str]
    deleted_by: list[str]
    is_own: bool
    of_extension: bool
    columns: dict[str, Column] = field(default_factory=dict)
    policies: list[Policy] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    keys: list[set[str]] = field(default_factory=list)
    is_personal: bool = False
    user_columns: set[str] = field(default_factory=set)

    @property
    def is_table(self) -> bool:
        """Whether rows are kept here."""
        return self.kind in ("r", "p", "f")

    @property
    def full(self) -> str:
        """schema.name, without quotes."""
        return f"{self.schema}.{self.name}"


@dataclass(slots=True)
class Catalog:
    """Everything that the doctor reads."""

    roles: list[str]
    served: list[str] | None
    own_functions: set[str]
    routines: dict[int, Routine]
    relations: dict[int, Relation]
    sign_up_triggers: list[Trigger]
    by_name: dict[str, list[Routine]] = field(default_factory=dict)
    relation_names: dict[str, Relation] = field(default_factory=dict)

    def is_served(self, schema: str) -> bool:
        """Whether the API serves this schema; where that is not known, all count as served."""
        return self.served is None or schema in self.served

    def relation(self, name: str) -> Relation | None:
        """The relation that a name means: with its schema, or found in public or wherever it is."""
        return self.relation_names.get(name)

    def called(self, name: str, count: int) -> Routine | None:
        """The function of the project that a call means."""
        found = self.by_name.get(name) or []
        fitting = [one for one in found if len(one.arguments) == count]
        return next(iter(fitting or found), None)


def read(connection: Connection[Any]) -> Catalog:
    """The catalog as it stands.

    By no other names than those of pg_catalog: a function of the project's own, named like one of those asked here and
    fitting better, would else be run as who asks.
    """
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        cursor.execute(b"set local search_path = pg_catalog, pg_temp")

        def rows(query: str, **values: Any) -> list[Any]:
            cursor.execute(query.encode(), values or None)
            return cursor.fetchall()

        own_functions: set[str] = set()
        own_relations: set[str] = set()
        if rows("select to_regprocedure('credits.public_functions()') is not null")[0][0]:
            own_functions = {str(name) for (name,) in rows("select credits.public_functions()")}
            own_relations = {str(name) for (name,) in rows("select credits.public_relations()")}
        roles = [str(name) for (name,) in rows(_ROLES)]
        served = rows(_SERVED)
        given = {"roles": roles}
        positive = {int(oid) for (oid,) in rows(_POSITIVE_DOMAINS)}
        bases = {int(oid): int(base) for oid, base in rows(_BASE_TYPES)}

        def argument(nth: int, name: str, kind: int, type_name: str) -> Argument:
            return Argument(nth, name, bases.get(kind, kind), type_name, kind in positive)

        routines = {}
        for row in rows(_FUNCTIONS, **given, own_functions=sorted(own_functions)):
            if row[8]:
                continue
            arguments = [argument(nth, *one) for nth, one in enumerate(zip(row[11], row[10], row[16], strict=True), 1)]
            routines[row[0]] = Routine(
                row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[9], arguments,
                [] if row[7] else row[12], row[13], row[14] or "", row[15],
            )  # fmt: skip
        relations = {row[0]: Relation(*row) for row in rows(_RELATIONS, **given, own_relations=sorted(own_relations))}
        for row in rows(_COLUMNS, **given):
            relations[row[0]].columns[row[1]] = Column(
                row[1],
                row[2],
                row[4],
                row[5],
                row[7],
                row[8],
                row[9],
                row[10],
                row[11],
                row[12],
                row[13],
                row[14],
                row[6],
            )
        for row in rows(_POLICIES, **given):
            if row[0] in relations:
                relations[row[0]].policies.append(Policy(*row[1:]))
        sign_up = []
        for row in rows(_TRIGGERS):
            trigger = Trigger(*row)
            if trigger.table in relations:
                relations[trigger.table].triggers.append(trigger)
            else:
                sign_up.append(trigger)
        for oid, kind, definition, columns in rows(_CHECKS):
            if oid in relations:
                if kind == "f":
                    relations[oid].is_personal = True
                    relations[oid].user_columns |= set(columns)
                elif kind == "c":
                    relations[oid].checks.append(definition)
                else:
                    relations[oid].keys.append(set(columns))
    catalog = Catalog(roles, served[0][0] if served else None, own_functions, routines, relations, sign_up)
    for routine in routines.values():
        catalog.by_name.setdefault(f"{routine.schema}.{routine.name}", []).append(routine)
        if routine.schema == "public" or routine.name not in catalog.by_name:
            catalog.by_name.setdefault(routine.name, []).append(routine)
    for relation in sorted(relations.values(), key=lambda one: one.schema != "public"):
        catalog.relation_names[relation.full] = relation
        catalog.relation_names.setdefault(relation.name, relation)
    for routine in routines.values():
        if routine.kind == "f" and not catalog.is_served(routine.schema):
            routine.open_to = []
    return catalog
