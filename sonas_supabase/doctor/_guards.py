"""What a condition asks: that the caller is an administrator, that a row is theirs, that a figure is positive."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ._tree import MIRRORED, Tree, parts_of, walk

ADMIN = re.compile(
    r"(^|_)(admins?|administrators?|super_?admins?|super_?users?|staff|moderators?|operators?|support|root|boss|"
    r"service_role|supabase_admin|system|employees?|backoffice|internal)(_|$)",
    re.IGNORECASE,
)
_ADMIN_FUNCTION = re.compile(
    r"(^|_)is_?[a-z_]*(admin|staff|superuser|operator)|has_(role|permission)|^authorize$|require_[a-z_]*(admin|role)"
)
_SECRET_NAME = re.compile(r"(secret|api_?key|key_?hash|token|signature|password|hash)", re.IGNORECASE)
# The type of an event is long, too: a secret has figures in it, or says what it is.
_LOOKS_SECRET = re.compile(r"^(?=.{12,})(?=.*([0-9].*[a-z]|[a-z].*[0-9]|secret|key))[^ .]+$", re.IGNORECASE)
_BACKEND_SECRET = re.compile(r"(secret|signature|hmac)", re.IGNORECASE)
_UNTRUSTED_ROLES = {"anon", "authenticated", "user", "member", "customer", "free"}


def bare(node: Tree) -> Tree:
    """A value without what only fills in for null or changes its case."""
    while True:
        if node[0] in ("coalesce", "named") and len(node) > 1:
            node = node[2] if node[0] == "named" else node[1]
        elif (
            node[0] == "call"
            and node[1].rpartition(".")[2] in ("lower", "upper", "trim", "btrim", "nullif")
            and node[2]
        ):
            node = node[2][0]
        else:
            return node


def is_argument(node: Tree) -> bool:
    """Whether the caller chooses this, or a part of it."""
    return any(one[0] in ("argument", "new") for one in walk(node))


def claim(node: Tree) -> str | None:
    """Which fact about the caller this is: `uid`, `email`, `role`, `app` (written by the backend) or None."""
    node = bare(node)
    if node[0] == "call":
        name = str(node[1])
        if name in ("auth.uid", "auth.email", "auth.role"):
            return name.removeprefix("auth.")
        if name == "session_user":
            return "role"
        if name == "current_setting" and node[2] and node[2][0][0] == "const":
            setting = str(node[2][0][1])
            found = {"role": "role", "request.jwt.claim.role": "role", "request.jwt.claim.sub": "uid",
                     "request.jwt.claim.email": "email"}  # fmt: skip
            return found.get(setting)
        if name in ("jsonb_array_elements_text", "json_array_elements_text") and node[2]:
            return claim(node[2][0])
    if node[0] == "op" and str(node[1]) in ("->", "->>", "#>", "#>>") and _is_token(node):
        keys = [str(one[1]) for one in walk(node) if one[0] == "const" and isinstance(one[1], str)]
        if any("user_metadata" in key for key in keys):
            return None
        if any("app_metadata" in key for key in keys):
            return "app"
        return {"role": "role", "sub": "uid", "email": "email"}.get(keys[-1] if keys else "")
    if node[0] == "sub" and len(node[1][1]) == 1:
        froms, where = node[1][2], node[1][3]
        column = node[1][1][0][1]
        # auth.users, asked for the caller's own row, says who they are.
        if any(one[0] == "table" and one[1] == "auth.users" for one in froms) and of_caller(where):
            name = column[2] if column[0] == "c" else column[1][-1] if column[0] == "col" else ""
            if name in ("email", "id"):
                return "email" if name == "email" else "uid"
            return "app" if any("app_meta" in str(one) for one in walk(column)) else None
    return None


def _is_token(node: Tree) -> bool:
    for one in walk(node):
        if one[0] == "call" and one[1] == "auth.jwt":
            return True
        if one[0] == "call" and one[1] == "current_setting" and one[2] and one[2][0] == ("const", "request.jwt.claims"):
            return True
        if one[0] in ("c", "col") and str(one[-1] if one[0] == "c" else one[1][-1]) in ("raw_app_meta_data",):
            return True
    return False


def is_caller(node: Tree) -> bool:
    """Whether this value is the caller's own: their id, their e-mail, or what is in a row of theirs."""
    node = bare(node)
    if node[0] == "either":
        return all(is_caller(one) for one in node[1:])
    if claim(node) in ("uid", "email"):
        return True
    return node[0] == "sub" and of_caller(node[1][3])


def may_be_nobody(node: Tree) -> bool:
    """Whether this is null for a caller who is not signed in. The role of a token is there for them, too."""
    if node[0] == "coalesce":
        return False
    return is_caller(node) or claim(node) in ("uid", "email", "app") or (node[0] == "sub" and of_caller(node[1][3]))


def of_caller(where: Tree | None) -> bool:
    """Whether a WHERE leaves the caller's own rows only."""
    return any(holds_for_all(part, _is_own_row) for part in parts_of(where))


def _is_own_row(part: Tree) -> bool:
    if part[0] == "op" and part[1] == "=":
        left, right = bare(part[2]), bare(part[3])
        return (is_caller(left) and right[0] in ("c", "col", "sub")) or (
            is_caller(right) and left[0] in ("c", "col", "sub")
        )
    if part[0] == "in":
        return any(one[0] == "sub" and of_caller(one[1][3]) for one in part[2]) or (
            is_caller(part[1]) and bool([one for one in part[2] if one[0] in ("c", "col")])
        )
    if part[0] == "exists":
        return of_caller(part[1][3])
    return is_privileged(part)


def holds_for_all(condition: Tree, asks: Callable[[Tree], bool]) -> bool:
    """Whether the condition makes sure of it: an `or` does when each of its sides does."""
    if condition[0] == "or":
        return all(any(holds_for_all(part, asks) for part in parts_of(side)) for side in condition[1:])
    if condition[0] == "case":
        return all(
            value in (("const", False), ("const", None))
            or any(holds_for_all(part, asks) for part in [*parts_of(test), *parts_of(value)])
            for test, value in [*condition[1], (("const", True), condition[2])]
        )
    if condition[0] == "either":
        return all(holds_for_all(part, asks) or part == ("const", False) for part in condition[1:])
    if condition[0] == "coalesce":
        return holds_for_all(condition[1], asks)
    if condition == ("const", False):
        return True
    return asks(condition)


def any_holds(conditions: Iterable[Tree], asks: Callable[[Tree], bool]) -> bool:
    """Whether one of the conditions makes sure of it."""
    return any(holds_for_all(condition, asks) for condition in conditions)


def is_privileged(part: Tree) -> bool:
    """Whether this lets through only who the project itself has set apart: a role, an administrator, a secret."""
    kind = part[0]
    if kind == "op" and part[1] in ("=", "~~", "~~*", "?", "@>", "?|", "= any", "<@"):
        return _compares_privilege(part[2], part[3]) or _compares_privilege(part[3], part[2]) or _is_secret(part)
    if kind == "in":
        constants = bool(part[2]) and all(one[0] == "const" for one in part[2])
        found = claim(part[1])
        if constants and found is not None:
            return found != "role" or not any(one[1] in _UNTRUSTED_ROLES for one in part[2])
        if constants and part[1][0] == "sub":
            return all(_compares_privilege(part[1], one) for one in part[2])
        if part[1][0] == "const" and any(_holds_app_claim(one) for one in part[2]):
            return True
        if part[1][0] == "const" and ADMIN.search(str(part[1][1])):
            return any(one[0] == "sub" and of_caller(one[1][3]) for one in part[2])
        return claim(part[1]) == "uid" and any(one[0] == "sub" and _is_admin_query(one[1]) for one in part[2])
    if kind == "exists":
        return _is_admin_query(part[1]) or any(
            one[0] == "op" and one[1] == "=" and _is_secret(one, _BACKEND_SECRET) for one in parts_of(part[1][3])
        )
    if kind == "sub":
        column: Tree = part[1][1][0][1] if part[1][1] else ("unknown",)
        named = column[2] if column[0] == "c" else ""
        inner = any(one[0] == "call" and one[1].rpartition(".")[2] in ("bool_or", "exists") for one in walk(column))
        # A count of an administrator's rows, or the flag on the caller's own.
        return (of_caller(part[1][3]) and bool(ADMIN.search(named))) or (inner and _is_admin_query(part[1]))
    if kind == "call":
        return bool(_ADMIN_FUNCTION.search(part[1].rpartition(".")[2])) and not any(
            one[0] == "argument" for one in walk(part)
        )
    return claim(part) == "app"


def _holds_app_claim(node: Tree) -> bool:
    return any(claim(one) == "app" for one in walk(node))


def _compares_privilege(value: Tree, other: Tree) -> bool:
    value, other = bare(value), bare(other)
    found = claim(value)
    if found is not None and not is_argument(other):
        if found == "role":
            return other[0] != "const" or str(other[1]) not in _UNTRUSTED_ROLES
        if found in ("app", "email"):
            return other[0] in ("const", "array", "call", "sub")
        # One person, or whom the project names in a setting.
        return (other[0] == "const" and other[1] is not None) or (
            other[0] == "sub" and not of_caller(other[1][3]) and not is_argument(other)
        )
    if value[0] == "sub" and other[0] == "const":
        select = value[1]
        column: Tree = select[1][0][1] if select[1] else ("unknown",)
        named = column[2] if column[0] == "c" else ""
        if not of_caller(select[3]) or is_argument(value):
            return False
        return bool(ADMIN.search(str(other[1])) or (other[1] is True and ADMIN.search(named)))
    return False


def _is_admin_query(select: Tree) -> bool:
    """A query for the caller among those who have been set apart; with an argument in it, it is about one team."""
    if select[0] != "select" or not of_caller(select[3]):
        return False
    parts = parts_of(select[3])
    if any(is_argument(part) for part in parts):
        return False
    if any(one[0] == "table" and ADMIN.search(one[1].rpartition(".")[2]) for one in select[2]):
        return True
    return any(holds_for_all(part, _names_admin) for part in parts)


def _names_admin(part: Tree) -> bool:
    if part[0] == "op" and part[1] == "=":
        sides = (part[2], part[3])
        texts = [str(side[1]) for side in sides if side[0] == "const"]
        columns = [side[2] if side[0] == "c" else str(side[1][-1]) for side in sides if side[0] in ("c", "col")]
        return any(ADMIN.search(text) for text in texts) or ("True" in texts and any(ADMIN.search(c) for c in columns))
    if part[0] == "in":
        # Each of them, or the weakest decides.
        return bool(part[2]) and all(
            (one[0] == "const" and ADMIN.search(str(one[1]))) or one == ("const", "owner") for one in part[2]
        )
    if part[0] in ("c", "col"):
        return bool(ADMIN.search(str(part[2] if part[0] == "c" else part[1][-1])))
    return False


_RANKS = re.compile(r"^(owner|admin|administrator|manager|lead|founder|maintainer|super_?admin)s?$", re.IGNORECASE)


def names_rank(part: Tree) -> bool:
    """Whether a condition on a membership asks for more than being a member."""
    if part[0] == "op" and part[1] == "=":
        return any(side[0] == "const" and _RANKS.match(str(side[1])) for side in (part[2], part[3]))
    if part[0] == "in":
        return bool(part[2]) and all(one[0] == "const" and _RANKS.match(str(one[1])) for one in part[2])
    return False


def _is_secret(part: Tree, names: re.Pattern[str] = _SECRET_NAME) -> bool:
    """A comparison with something that only the backend knows."""
    sides = [bare(part[2]), bare(part[3])]
    for nth, side in enumerate(sides):
        other = sides[1 - nth]
        # A header of the request is the caller's too.
        given = is_argument(side) or any(
            one[0] == "call" and one[1] == "current_setting" and one[2] and "request.header" in str(one[2][0][-1])
            for one in walk(side)
        )
        if not given:
            continue
        for one in walk(other):
            if one[0] == "table" and (names.search(one[1]) or one[1].startswith("vault.")):
                return True
            if one[0] == "call" and one[1] == "current_setting" and "request." not in str(one[2]):
                return True
            if one[0] in ("c", "col") and names.search(str(one[2] if one[0] == "c" else one[1][-1])):
                return True
        named = [
            one
            for one in walk(side)
            if one[0] == "call" and one[1].rpartition(".")[2] in ("digest", "hmac", "crypt", "sha256", "md5")
        ]
        if other[0] == "const" and isinstance(other[1], str) and (named or _LOOKS_SECRET.search(other[1])):
            return True
    return False


def ties(part: Tree, value: Tree) -> bool:
    """Whether a condition says that this value is the caller's."""
    if is_privileged(part):
        return True
    if part[0] not in ("op", "exists", "in", "sub", "took", "call") or (part[0] == "op" and part[1] != "="):
        if part[0] == "not" and part[1][0] == "null" and part[1][1][0] == "sub":
            return ties(("exists", part[1][1][1]), value)
        return False
    given = {one for one in walk(value) if one[0] in ("argument", "new")}
    nodes = list(walk(part))
    if part[0] == "op":
        left, right = bare(part[2]), bare(part[3])
        if {left, right} & given or value in (left, right):
            other = right if left in given or left == value else left
            return is_caller(other)
    return any(one in given for one in nodes) and any(
        (one[0] == "call" and one[1] in ("auth.uid", "auth.email")) or claim(one) in ("uid", "email") for one in nodes
    )


def compared(part: Tree) -> tuple[Tree, str, Tree] | None:
    """(left, operator, right) of a comparison."""
    if part[0] == "op" and part[1] in MIRRORED:
        return part[2], part[1], part[3]
    return None


def _is_floor(part: Tree, value: Tree, below: bool = False) -> bool:
    def same(node: Tree) -> bool:
        return bare(node) == bare(value)

    if part[0] == "in" and same(part[1]):
        return all(one[0] != "const" or _sign(one[1], below) for one in part[2])
    found = compared(part)
    if found is None:
        return False
    left, operator, right = found
    if same(right) and not same(left):
        left, operator, right = right, MIRRORED[operator], left
    if not same(left):
        # sign(p_amount) = 1
        inner = left[0] == "call" and left[1] == "sign" and left[2] and same(left[2][0])
        return bool(inner) and right[0] == "const" and _sign(right[1], below)
    if operator == "=":
        return right[0] in ("const", "sub", "c", "record") and (right[0] != "const" or _sign(right[1], below))
    wanted = ("<", "<=") if below else (">", ">=")
    if operator not in wanted:
        return False
    return right[0] == "const" and isinstance(right[1], int | float) and (right[1] <= 0 if below else right[1] >= 0)


def _sign(value: object, below: bool) -> bool:
    return isinstance(value, int | float) and (value <= 0 if below else value >= 0)


def is_floored(value: Tree, conditions: Iterable[Tree], below: bool = False) -> bool:
    """Whether the conditions keep this value from being negative (or, `below`, positive)."""
    return any_holds(conditions, lambda part: _is_floor(part, value, below))
