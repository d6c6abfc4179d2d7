"""A finding of the doctor, and the words and statements that findings share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sonas_supabase import Finding

from ._catalog import Catalog, Relation, Routine
from ._worth import OWNER, snake

SEVERITIES = ("critical", "high", "medium", "low", "info")


KINDS = {
    "anyone_gets_credits": "a call, or a row that users write, gives credits for nothing",
    "anyone_gets_plan": "a call sets a plan of the caller's choice, or one that is paid for",
    "anyone_gets_role": "a call makes an administrator",
    "refund_repeats": "a refund leaves what it refunds as it is, so it can be asked for again",
    "client_names_price": "the caller says how much work costs (low), or what a purchase costs and brings (critical)",
    "credits_on_conditions": "it gives something once, for a code, a day or a failed job: read the conditions",
    "user_id_not_checked": "a call acts on the account of another user",
    "amount_not_checked": "a negative amount gives credits",
    "no_limit": "it takes without asking whether there is enough",
    "read_then_write": "two calls at the same time spend the same credit",
    "anyone_runs_sql": "what the caller passes is executed",
    "trusts_user_metadata": "a plan or a role is read from what users write about themselves",
    "definer_without_search_path": "names are looked up in the caller's search_path with the owner's rights",
    "code_not_read": "a function could not be read as SQL",
    "users_write_balance": "users may write a column that work is allowed by",
    "users_delete_usage": "users may delete the rows that a limit counts",
    "users_choose_plan": "users may write their plan, or until when it is paid",
    "users_choose_role": "users may write what makes an administrator",
    "table_without_rls": "a table of balances without row level security",
    "balance_is_public": "a policy shows the balances or the use of all users",
    "view_bypasses_rls": "a view shows rows of others with its owner's rights",
    "usage_may_be_written": "users may write the log of attempts",
}
"""Each kind of finding about a project, and what it says."""


def finding(code: str, severity: str, what: str, meaning: str, how_to_try: str, how_to_mend: str) -> Finding:
    """Something to mend in a project; its code is one of KINDS."""
    if code not in KINDS:
        raise KeyError(code)
    return Finding(
        code=code, severity=severity, object=what, meaning=meaning, how_to_try=how_to_try, how_to_mend=how_to_mend
    )


def identifier(name: str) -> str:
    """A name as SQL wants it."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else '"' + name.replace('"', '""') + '"'


def whoever(roles: Iterable[str]) -> str:
    """The API roles as people."""
    found = list(roles)
    if "anon" in found:
        return f"Anybody on the internet ({told(found)})"
    return "Any signed-in user" if found == ["authenticated"] else told(found)


def told(names: Iterable[str]) -> str:
    """`anon and authenticated`."""
    found = list(dict.fromkeys(names))
    return ", ".join(found[:-1]) + " and " + found[-1] if len(found) > 1 else found[0] if found else "no role"


def closing(catalog: Catalog) -> str:
    """The roles that a revoke has to name."""
    return ", ".join(["public", *(identifier(role) for role in catalog.roles)])


def call_of(routine: Routine) -> str:
    """A call, with the types of its arguments where values belong."""
    given = ", ".join(
        f"{identifier(one.name)} => <{one.type_name}>" if one.name else f"<{one.type_name}>"
        for one in routine.arguments
    )
    verb = "call" if routine.kind == "p" else "select"
    return f"{verb} {identifier(routine.schema)}.{identifier(routine.name)}({given})"


def as_user(role: str, statement: str) -> str:
    """A script for the SQL editor that does something the way the API would, and takes it back."""
    # A role of one's own is one that its maker may hand out, and not yet act as.
    first = "" if role in ("anon", "authenticated") else f"grant {identifier(role)} to current_user; "
    return (
        f"begin; {first}set local role {identifier(role)}; "
        f"""select set_config('request.jwt.claims', '{{"sub": "<id of some user>"}}', true); {statement}; rollback;"""
    )


def insert_into(relation: Relation, column: str | None, value: str) -> str:
    """A statement that adds a row, with types where values belong."""
    named: list[tuple[str, str]] = []
    for one in relation.columns.values():
        if one.name == column:
            named.insert(0, (one.name, value))
        elif not one.generated and one.not_null and one.default is None and not one.identity:
            owner = one.type == 2950 and (OWNER.search(snake(one.name)) or one.name in relation.user_columns)
            named.append((one.name, "'<id of some user>'" if owner else f"<{one.type_name}>"))
    columns = ", ".join(identifier(name) for name, _ in named)
    return f"insert into {relation.title} ({columns}) values ({', '.join(text for _, text in named)})"


def revoke_call(routine: Routine, catalog: Catalog) -> str:
    """Takes a function out of the API."""
    return f"revoke execute on function {routine.signature} from {closing(catalog)};"


def sorted_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Each once, the worst first."""
    seen: dict[tuple[str, str, str], Finding] = {}
    for one in sorted(findings, key=lambda found: SEVERITIES.index(found.severity)):
        seen.setdefault((one.code, one.object or "", one.how_to_mend or ""), one)
    return sorted(seen.values(), key=lambda found: (SEVERITIES.index(found.severity), found.code, found.object or ""))
