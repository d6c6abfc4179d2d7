"""The addresses that people have at hand, as psycopg and supabase-py understand them. No I/O."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from sonas_supabase.errors import NotConfigured

# Else a call to a host that has vanished would hang for a quarter of an hour.
_DEFAULTS = {
    "application_name": "sonas_supabase",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# What other drivers and ORMs write into the same string; it says nothing to Postgres.
_OF_OTHERS = {
    *("pgbouncer", "connection_limit", "pool_timeout", "socket_timeout", "schema", "statement_cache_size"),
    *("prepared_statements", "prepared_statement_cache_size", "prepared_statement_name_func", "supa", "workaround"),
    *("sslaccept", "pool_size", "max_overflow", "command_timeout", "uselibpqcompat", "pgbouncer_mode"),
}
_SSL = {"true": "require", "1": "require", "no-verify": "require", "false": "disable", "0": "disable"}
_SHAPE = "It looks like postgresql://user:password@host:5432/postgres."


def connection_parameters(database_url: str) -> dict[str, Any]:
    """What a connection string says, and our defaults. Raises NotConfigured, which names the part that is wrong."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        return {**_DEFAULTS, **conninfo_to_dict(_for_libpq(database_url))}
    except psycopg.ProgrammingError as error:
        # The string and what libpq says of it may hold the password.
        unknown = re.search(r'invalid (?:URI query parameter|connection option): "(\w+)"|option "(\w+)"', str(error))
        if unknown:
            name = unknown.group(1) or unknown.group(2)
            raise NotConfigured(
                f'DATABASE_URL has the parameter "{name}", which Postgres does not know.', hint=f"Leave out {name}."
            ) from None
        raise NotConfigured("DATABASE_URL is not a Postgres connection string.", hint=_SHAPE) from None


def _for_libpq(database_url: str) -> str:
    url = database_url.strip().strip("\"'")
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    scheme = scheme.lower().removeprefix("jdbc:")
    if scheme in ("http", "https"):
        raise NotConfigured(
            "DATABASE_URL is an address of the web, and Postgres has one of its own.",
            hint="Put this one into SUPABASE_URL, with SUPABASE_SECRET_KEY; or take the connection string of the "
            "database from Connect in the project's dashboard.",
        )
    # SQLAlchemy writes the driver behind a plus sign.
    if scheme.partition("+")[0] not in ("postgres", "postgresql"):
        raise NotConfigured(f"DATABASE_URL begins with {scheme}://, which is no Postgres.", hint=_SHAPE)
    if "[YOUR-PASSWORD]" in rest.upper():
        raise NotConfigured(
            "DATABASE_URL has [YOUR-PASSWORD] where the password belongs.",
            hint="Put the password of the database there, percent-encoded.",
        )
    return _with_known_parameters(f"postgresql://{_with_encoded_password(rest)}")


def _with_encoded_password(rest: str) -> str:
    """A password with an @, / or # of its own: everything up to the last @ before the host is user and password."""
    before, at, behind = rest.rpartition("@")
    user, colon, password = before.partition(":")
    if not at or not colon or not re.search(r"[@/#?\s\[\]%]", password):
        return rest
    if re.fullmatch(r"(?:[^@/#?\s\[\]%]|%[0-9A-Fa-f]{2})*", password):
        return rest
    return f"{user}:{quote(password, safe='')}@{behind}"


def _with_known_parameters(url: str) -> str:
    parts = urlsplit(url)
    kept = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in ("ssl", "sslmode"):
            kept.append(("sslmode", _SSL.get(value.lower(), value)))
        elif name not in _OF_OTHERS:
            kept.append((name, value))
    return urlunsplit(parts._replace(query=urlencode(kept, quote_via=quote)))


def key_of_project(secret_key: str) -> str:
    """The key, also where quotation marks or the end of a line came along. Raises NotConfigured for what is none."""
    key = secret_key.strip().strip("\"'")
    if re.fullmatch(r"[!-~]*", key):
        return key
    raise NotConfigured(
        "SUPABASE_SECRET_KEY has letters that no key has.", hint="Copy it from API Keys in the project's settings."
    )


def project_url(supabase_url: str) -> str:
    """The address of a project, also where somebody has pasted that of one of its services."""
    url = supabase_url.strip().strip("\"'").rstrip("/")
    if url.startswith(("postgres://", "postgresql://")):
        raise NotConfigured(
            "SUPABASE_URL is a Postgres connection string.",
            hint="Put it into DATABASE_URL. SUPABASE_URL looks like https://<project>.supabase.co.",
        )
    project = re.match(r"https?://(?:app\.)?supabase\.(?:com|io)/(?:dashboard/)?project/(\w+)", url)
    if project:
        return f"https://{project.group(1)}.supabase.co"
    return re.sub(r"/(?:rest|auth|storage|functions|realtime|graphql)/v1(?:/.*)?$", "", url)
