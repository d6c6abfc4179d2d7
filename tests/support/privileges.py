"""Who may do what: one line for every object of the system, compared with the expected table in CI.

`python -m tests.support.privileges --write` makes tests/database/privileges.golden.txt anew, `--check` compares.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.database import Database, copied_database, make_template
from tests.support.server import start_server

GOLDEN = Path(__file__).resolve().parents[1] / "database" / "privileges.golden.txt"

# PUBLIC is read from the access list itself; for the others what they may do in the end counts, however it came to be.
OBJECTS = """
with roles(name) as (values ('anon'), ('authenticated'), ('service_role')),
schemas as (
  select n.oid, n.nspname, n.nspowner, n.nspacl from pg_namespace n where n.nspname in ('public', 'credits')
), own as (
  select d.classid, d.objid from pg_depend d where d.deptype = 'e'
), relations as (
  select c.oid, s.nspname || '.' || c.relname as name, c.relkind, c.relacl, c.relowner,
    case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'matview' else 'table' end as kind
  from pg_class c join schemas s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and not exists (select from own where own.classid = 'pg_class'::regclass and own.objid = c.oid)
), may(kind, name, role, privilege) as (
  select 'schema', s.nspname::text, r.name, lower(p.name)
  from schemas s cross join roles r cross join (values ('USAGE'), ('CREATE')) p(name)
  where has_schema_privilege(r.name, s.oid, p.name)
  union all
  select 'schema', s.nspname, 'public', lower(x.privilege_type)
  from schemas s cross join lateral aclexplode(coalesce(s.nspacl, acldefault('n', s.nspowner))) x
  where x.grantee = 0
  union all
  select t.kind, t.name, r.name, lower(p.name)
  from relations t cross join roles r
  cross join (values ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('REFERENCES'), ('TRIGGER')) p(name)
  where t.relkind <> 'S' and has_table_privilege(r.name, t.oid, p.name)
  union all
  select 'sequence', t.name, r.name, lower(p.name)
  from relations t cross join roles r cross join (values ('USAGE'), ('SELECT'), ('UPDATE')) p(name)
  where t.relkind = 'S' and has_sequence_privilege(r.name, t.oid, p.name)
  union all
  select t.kind, t.name, case x.grantee when 0 then 'public' else x.grantee::regrole::text end, lower(x.privilege_type)
  from relations t cross join lateral aclexplode(coalesce(t.relacl, acldefault('r', t.relowner))) x
  where x.grantee <> t.relowner
  union all
  select 'column', t.name || '.' || a.attname, r.name, lower(p.name)
  from relations t
  join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
  cross join roles r cross join (values ('SELECT'), ('INSERT'), ('UPDATE'), ('REFERENCES')) p(name)
  where t.relkind <> 'S' and has_column_privilege(r.name, t.oid, a.attnum, p.name)
    and not has_table_privilege(r.name, t.oid, p.name)
  union all
  select 'function', p.oid::regprocedure::text, r.name, 'execute'
  from pg_proc p join schemas s on s.oid = p.pronamespace cross join roles r
  where has_function_privilege(r.name, p.oid, 'EXECUTE')
  union all
  select 'function', p.oid::regprocedure::text,
    case x.grantee when 0 then 'public' else x.grantee::regrole::text end, 'execute'
  from pg_proc p join schemas s on s.oid = p.pronamespace
  cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x where x.grantee <> p.proowner
  union all
  select 'type', s.nspname || '.' || t.typname, case x.grantee when 0 then 'public' else x.grantee::regrole::text end,
    lower(x.privilege_type)
  from pg_type t join schemas s on s.oid = t.typnamespace
  cross join lateral aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) x
  where t.typtype in ('e', 'd', 'r') and x.grantee <> t.typowner
), objects(kind, name) as (
  select 'schema', s.nspname::text from schemas s
  union all
  select t.kind, t.name from relations t
  union all
  select 'function', p.oid::regprocedure::text from pg_proc p join schemas s on s.oid = p.pronamespace
  where not exists (select from own where own.classid = 'pg_proc'::regclass and own.objid = p.oid)
  union all
  select 'type', s.nspname || '.' || t.typname from pg_type t join schemas s on s.oid = t.typnamespace
  where t.typtype in ('e', 'd', 'r')
  union all
  select m.kind, m.name from may m where m.kind = 'column'
)
select o.kind, o.name, r.name, coalesce(string_agg(distinct m.privilege, ', ' order by m.privilege), '-')
from (select distinct kind, name from objects) o
cross join (
  values ('public', 1), ('anon', 2), ('authenticated', 3), ('service_role', 4)
) r(name, nth)
left join may m on m.kind = o.kind and m.name = o.name and m.role = r.name
group by o.kind, o.name, r.name, r.nth
order by o.kind collate "C", o.name collate "C", r.nth
"""

HEADER = """\
# Who may do what, for every object in the schemas public and credits. Made by
# `python -m tests.support.privileges --write`; a test compares it with what the migrations end in.
"""


def privileges(database: Database) -> str:
    """The table of privileges of this database, one line per object."""
    lines: dict[tuple[str, str], list[str]] = {}
    # The names of types and functions are written out in full only where nothing is on the search path.
    with database.connect() as connection:
        connection.execute("set search_path = ''")
        for kind, name, role, allowed in connection.execute(OBJECTS).fetchall():
            lines.setdefault((kind, name), []).append(f"{role}: {allowed}")
    return HEADER + "".join(f"{kind} {name}\n    {' | '.join(roles)}\n" for (kind, name), roles in lines.items())


def differences(seen: str) -> str:
    """A diff against the expected table; empty when they agree."""
    expected = GOLDEN.read_text().splitlines()
    return "\n".join(difflib.unified_diff(expected, seen.splitlines(), "expected", "seen", n=1, lineterm=""))


def main(arguments: list[str]) -> int:
    with TemporaryDirectory(prefix="sonas-privileges-") as folder:
        Path(folder).chmod(0o755)
        with start_server(Path(folder) / "cluster") as server:
            make_template(server)
            with copied_database(server) as database:
                seen = privileges(database)
    if arguments == ["--write"]:
        GOLDEN.write_text(seen)
        return 0
    if arguments == ["--check"]:
        found = differences(seen)
        sys.stdout.write(found + "\n" if found else "")
        return 1 if found else 0
    sys.stderr.write("usage: python -m tests.support.privileges --write | --check\n")
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
