"""Write docs/sql.md from the catalog's comments, docs/cli.md from the commands' help, and the events of docs/stripe.md.

With --check, only say whether they are up to date. Starts an embedded Postgres for it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from typer.main import get_command

from sonas_cli import app
from sonas_supabase import local
from sonas_supabase.billing import HANDLED, LEFT_ALONE

DOCS = Path(__file__).resolve().parent.parent / "docs"

FUNCTIONS = """
select p.proname, pg_get_function_arguments(p.oid), obj_description(p.oid, 'pg_proc'),
  has_function_privilege('authenticated', p.oid, 'execute')
from pg_proc p
where p.pronamespace = 'public'::regnamespace
  and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
order by p.oid
"""
TABLES = """
select c.relname, obj_description(c.oid, 'pg_class'),
  (select json_agg(json_build_array(a.attname, format_type(a.atttypid, null), col_description(c.oid, a.attnum))
      order by a.attnum)
    from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  has_any_column_privilege('anon', c.oid, 'select'), has_any_column_privilege('authenticated', c.oid, 'select')
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v')
order by c.oid
"""


def render_sql(connection: psycopg.Connection[Any]) -> str:
    """docs/sql.md for a migrated database."""
    text = [
        "# SQL reference",
        "",
        "Generated from the comments in the database by `scripts/generate_docs.py`. All functions are in the",
        "schema `public`, take named arguments, and answer one JSON object. Every answer of an operation has",
        "`success`, `code`, `operation_id`, `credit_type`, `amount`, `remaining`, `limit`, `used`, `reserved`,",
        "`unlimited`, `period_end` and `replayed`. Denials and errors are in [concepts.md](concepts.md#running-out).",
        "",
        "Only the service role may call them, unless it says that signed-in users may too. API roles read tables",
        "through row level security, their own rows alone, and write none.",
        "",
        "## Functions",
    ]
    for name, arguments, comment, for_users in connection.execute(FUNCTIONS).fetchall():
        text += ["", f"### {name}", "", *([f"{comment}", ""] if comment else [])]
        if for_users:
            text += ["Signed-in users may call it.", ""]
        if arguments:
            text += ["| argument | type | default |", "|---|---|---|"]
            text += [_argument(argument) for argument in re.split(r", (?=p_)", arguments)]
        else:
            text += ["No arguments."]
    text += ["", "## Tables"]
    for name, comment, columns, for_anon, for_users in connection.execute(TABLES).fetchall():
        readers = "Everybody may read it." if for_anon else "Users read their own rows." if for_users else ""
        text += ["", f"### {name}", "", comment or "", *(["", readers] if readers else []), ""]
        text += ["| column | type | |", "|---|---|---|"]
        text += [f"| `{column}` | {kind} | {told or ''} |" for column, kind, told in columns]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(text)) + "\n"


def _argument(declared: str) -> str:
    declaration, _, default = declared.partition(" DEFAULT ")
    name, _, kind = declaration.partition(" ")
    shown = f"`{default.partition('::')[0].lower()}`" if default else "required"
    return f"| `{name}` | {kind} | {shown} |"


def render_cli() -> str:
    """docs/cli.md."""
    text = [
        "# Command line",
        "",
        "Generated from the commands' own help by `scripts/generate_docs.py`. `sonas COMMAND --help` says the same.",
        "",
        "A command works on the database of `--db-url`, else of `DATABASE_URL`, else on the project of `SUPABASE_URL`",
        "and `SUPABASE_SECRET_KEY` (from the environment or `.env`), else on the stack that `sonas up` runs for this",
        "folder. `--json` prints one JSON object. `sonas --install-completion` teaches your shell to complete.",
        "",
        "| exit code | |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | refused by a rule: an unknown account, a closed hold, a reused key |",
        "| 2 | wrong usage, or something is missing on this machine |",
        "| 3 | denied: not enough credits |",
        "| 4 | the database cannot be reached |",
        "| 5 | a check failed |",
        "| 130 | interrupted |",
    ]
    commands = get_command(app).commands  # type: ignore[attr-defined]
    panel = None
    for name, command in commands.items():
        if command.rich_help_panel != panel:
            panel = command.rich_help_panel
            text += ["", f"## {panel}"]
        if hasattr(command, "commands"):
            text += ["", command.help]
            for inner, of_it in command.commands.items():
                text += _command(f"{name} {inner}", of_it)
        else:
            text += _command(name, command)
    return "\n".join(text) + "\n"


def _command(name: str, command: Any) -> list[str]:
    text = ["", f"### {name}", "", command.help, "", f"{command.epilog}", "", "| | |", "|---|---|"]
    for parameter in command.params:
        names = ", ".join(f"`{option}`" for option in parameter.opts)
        if parameter.param_type_name == "argument":
            names = f"`{parameter.metavar}`"
        if parameter.name != "help":
            text.append(f"| {names} | {_meaning(parameter)} |")
    return text


def _meaning(parameter: Any) -> str:
    told = (parameter.help or "").replace("|", "\\|")
    default = parameter.default
    shown = default not in (None, False, "", ...) and not callable(default) and parameter.show_default is not False
    return f"{told} Default: {default}." if shown else told


_EVENTS = re.compile(r"(<!-- events: .*? -->\n).*(<!-- end of events -->)", re.DOTALL)


def render_stripe() -> str:
    """docs/stripe.md, with the table of events that are read and of those that are left alone."""
    text = ["| event | fact | what it does |", "|---|---|---|"]
    text += [f"| `{known.name}` | `{known.fact}` | {known.effect} |" for known in HANDLED.values()]
    text += ["", "Left alone on purpose. Where one comes anyhow it is stored as ignored and answered with 200:", ""]
    text += ["| event | why |", "|---|---|"]
    text += [f"| `{known.name}` | {known.effect} |" for known in LEFT_ALONE.values()]
    table = "\n".join(text)
    return _EVENTS.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", (DOCS / "stripe.md").read_text())


def main(arguments: list[str]) -> int:
    """Write the files, or compare them."""
    with tempfile.TemporaryDirectory(prefix="sonas-docs-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        cluster = local.Cluster(folder / "cluster", port=local.free_port(), settings={"fsync": "off"})
        cluster.start()
        try:
            local.shape(cluster.url(user=local.SUPERUSER))
            local.migrate(cluster.url())
            with psycopg.connect(cluster.url()) as connection:
                wanted = {"sql.md": render_sql(connection), "cli.md": render_cli(), "stripe.md": render_stripe()}
        finally:
            cluster.remove()
    stale = [name for name, text in wanted.items() if not (DOCS / name).exists() or (DOCS / name).read_text() != text]
    if "--check" in arguments:
        for name in stale:
            sys.stderr.write(f"out of date: docs/{name}. Run scripts/generate_docs.py\n")
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(wanted[name])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
