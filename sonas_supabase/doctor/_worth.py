"""Which columns are worth money: told by what code does with them, and by their names where no code says anything.

A balance is what is read before work is allowed, and changed by it. A role is what an administrator is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ._amounts import forms
from ._catalog import BOOLEAN, DOCUMENTS, NUMBERS, UUID, Catalog, Column, Relation
from ._event import Code, Event
from ._guards import ADMIN, bare, compared, is_caller, of_caller
from ._tree import Tree, expression, parts_of, walk

OWNER = re.compile(
    r"(^|_)(user|owner|account|customer|profile|member|org|organi[sz]ation|team|workspace|tenant|company|author|uid|email)(_|$)|"
    r"(user|owner|account|profile|customer)_?id$",
    re.IGNORECASE,
)
LEDGER = re.compile(r"(credit|token|coin|wallet|balance|points|ledger)", re.IGNORECASE)
_NOTES = re.compile(
    r"(message|log|event|completion|generation|request|conversation|chat|run|job|document|chunk|embedding|session|note)s?$",
    re.IGNORECASE,
)
_NO_MONEY = re.compile(
    r"_(id|ids|at|on|version|type|score|card|hours|rate|price|cost|order|index)$|^credit_(card|score|type|limit)"
)
_COUNTER = re.compile(
    r"(^|_)(credits?|balance|quota|coins?|points|allowance|gems)(_|$)"
    r"|(^|_)(messages?|generations?|requests?|images?|exports?|minutes|queries|searches|prompts?)_used$"
    r"|(^|_)(messages?|generations?|requests?|calls|images?|exports?|minutes|queries|searches|prompts?|uploads?|words"
    r"|videos?|projects?|scans?|uses|runs|tokens?)_(left|remaining|limit|quota|allowed)$"
    r"|^(remaining|free|available)_[a-z]+$|^(usage|request|generation|api_call)_limit$|^(monthly|daily)_(limit|quota)$"
)
_TOKENS = re.compile(r"(^|_)tokens?(_|$)")
_WEAK = re.compile(
    r"(^|_)tokens?(_|$)|(^|_)(used|spent|consumed|usage)(_|$)|^(usage|request|generation|api_call)_count$|^(monthly|daily)_usage$"
)
_MEASURE = re.compile(
    r"^(max|min|total|prompt|completion|input|output|context|cached|reasoning)_|_(used|count|spent|consumed|usage)$"
)
_PLAN = re.compile(
    r"^((current_|user_)?(subscription_?)?(plan|tier)(_id|_name|_type)?|subscription_status|subscription"
    r"|(stripe_)?(price|product|variant)_id|(stripe_)?(customer|subscription)_id"
    r"|(is_|has_)?(pro|premium|paid|subscribed|subscriber)"
    r"|(premium|paid|pro|trial|subscription)_(until|ends?_at|end|end_date|expires_at|expiry)|current_period_end)$"
)
_SHOP = re.compile(r"^(price|product|variant|customer)_id$|^subscription$")
_SHELF = re.compile(r"(plan|pack|package|price|product|tier|feature|offer|job|setting|item|good)s?$", re.IGNORECASE)
PERSONS = re.compile(
    r"(profile|user|account|subscription|organi[sz]ation|team|workspace|member|customer)s?(_app)?$", re.IGNORECASE
)
_ROLES = re.compile(r"(^|_)(profile|user|account|user_role|member|membership)s?$", re.IGNORECASE)


@dataclass(slots=True)
class Worth:
    """What each column is: `counter` (what is left), `used`, `delta` (a row of a ledger), `json`, `plan`, `role`."""

    kinds: dict[tuple[str, str], str] = field(default_factory=dict)
    by_use: set[tuple[str, str]] = field(default_factory=set)
    gated: set[tuple[str, str]] = field(default_factory=set)

    def of(self, table: str, column: str) -> str | None:
        """What this column is worth."""
        return self.kinds.get((table, column))

    def columns(self, table: str) -> dict[str, str]:
        """The columns of a table that are worth something."""
        return {column: kind for (owner, column), kind in self.kinds.items() if owner == table}


def snake(name: str) -> str:
    """creditBalance as credit_balance."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def is_personal(relation: Relation) -> bool:
    """Whether its rows belong to somebody: a list of prices belongs to nobody."""
    for column in relation.columns.values():
        if OWNER.search(snake(column.name)) and not re.search(r"_(count|name)$", column.name):
            return True
    if relation.is_personal:
        return True
    return bool(PERSONS.search(relation.name)) or any(
        column.in_key
        and column.type == UUID
        and column.name != "id"
        and column.default is None
        and len(relation.columns) < 40
        for column in relation.columns.values()
    )


def may_be_personal(relation: Relation) -> bool:
    """Whether its rows may belong to somebody, where nothing else says so."""
    key = relation.columns.get("id")
    return is_personal(relation) or bool(key and key.type == UUID and not _SHELF.search(relation.name))


def mark_personal(catalog: Catalog, codes: dict[int, Code]) -> None:
    """Notes whose rows code or policies compare with the caller."""
    for relation in catalog.relations.values():
        if any("auth.uid" in f"{policy.using} {policy.check}" for policy in relation.policies):
            relation.is_personal = True
    for condition in conditions_of(codes.values()):
        for node in walk(condition):
            if node[0] == "op" and node[1] == "=":
                for side, other in ((node[2], node[3]), (node[3], node[2])):
                    if side[0] == "c" and is_caller(other):
                        owned = catalog.relation(side[1])
                        if owned is not None:
                            owned.is_personal = True


def by_name(relation: Relation, column: Column) -> str | None:
    """What a name and a type say, where no code says anything."""
    name = snake(column.name)
    if column.type in NUMBERS:
        if _NO_MONEY.search(name):
            return None
        # What a model read and wrote is a note about one message, and no balance.
        is_note = _NOTES.search(relation.name) or _MEASURE.search(name)
        if _COUNTER.search(name) or (_TOKENS.search(name) and not is_note):
            return "used" if re.search(r"(^|_)(used|spent|consumed|usage)(_|$)|_count$", name) else "counter"
        if name in ("amount", "delta", "change", "quantity", "credit_amount") and LEDGER.search(relation.name):
            return "delta"
        if re.match(r"^((subscription_?)?(plan|tier)(_id)?)$", name):
            return "plan"
        return None
    if column.type in DOCUMENTS:
        found = re.search(r'"(credits?|balance|quota|coins|points|tokens|plan|tier)"', column.default or "")
        return "json" if found else None
    if _PLAN.match(name) and (not _SHOP.match(name) or PERSONS.search(relation.name)):
        return "plan"
    if column.type == BOOLEAN and re.match(r"^((is_)?(super_?)?(admin|staff|superuser))$", name):
        return "role"
    if re.match(r"^((user|app|account|system)_)?roles?$", name) and _ROLES.search(relation.name):
        return "role"
    return None


def _is_weak(relation: Relation, column: Column) -> bool:
    name = snake(column.name)
    if column.type not in NUMBERS or _NO_MONEY.search(name) or not _WEAK.search(name):
        return False
    return not re.match(r"^(max|min|total|prompt|completion|input|output|context|cached|reasoning)_", name)


def worth_of(catalog: Catalog, codes: dict[int, Code]) -> Worth:
    """What the columns of this project are worth."""
    worth = Worth()
    mark_personal(catalog, codes)
    for relation in catalog.relations.values():
        if relation.is_table and not relation.is_own and not relation.of_extension:
            for column in relation.columns.values():
                kind = None if column.generated else by_name(relation, column)
                if kind is not None:
                    worth.kinds[relation.full, column.name] = kind
    gates = set(_gates(catalog, codes))
    worth.gated = gates
    changed = _changed(catalog, codes)
    for key in gates & set(changed):
        found = catalog.relation(key[0])
        if found is None or found.is_own or key in worth.kinds or not is_personal(found):
            continue
        counted = found.columns.get(key[1])
        if counted is not None and counted.type in NUMBERS:
            worth.kinds[key] = changed[key]
            worth.by_use.add(key)
    _limits(catalog, codes, worth)
    _documents(catalog, codes, worth)
    _counted_documents(catalog, codes, worth)
    _ledgers(catalog, codes, worth)
    _roles(catalog, codes, worth)
    # What a name half says counts when work is allowed by it.
    for relation in catalog.relations.values():
        for column in relation.columns.values():
            key = (relation.full, column.name)
            if (
                relation.is_table
                and not relation.is_own
                and key not in worth.kinds
                and key in gates
                and _is_weak(relation, column)
            ):
                worth.kinds[key] = "used"
    return worth


def conditions_of(codes: Iterable[Code]) -> Iterator[Tree]:
    """All conditions, each once: what holds at one statement holds at those after it."""
    for code in codes:
        seen: set[int] = set()

        def new(conditions: Iterable[Tree], seen: set[int] = seen) -> Iterator[Tree]:
            for one in conditions:
                if id(one) not in seen:
                    seen.add(id(one))
                    yield one

        for event in code.events:
            yield from new(event.conditions)
            if event.where is not None:
                yield from parts_of(event.where)
            for _, value in event.sets:
                for one in walk(value):
                    if one[0] == "case":
                        yield from (test for test, _ in one[1])
        for stop in code.stops:
            yield from new(stop)
        # has_credits() answers a comparison.
        yield from code.results


def _gates(catalog: Catalog, codes: dict[int, Code]) -> Iterator[tuple[str, str]]:
    """Columns that are compared before something is let through."""
    for condition in conditions_of(codes.values()):
        for one in walk(condition):
            found = compared(one) if one[0] == "op" else None
            if found is not None and found[1] in ("<", "<=", ">", ">="):
                for node in walk(one):
                    if node[0] == "c":
                        yield node[1], node[2]
    for relation in catalog.relations.values():
        for policy in relation.policies:
            for text in (policy.using, policy.check):
                if text and re.search(r"[<>]", text):
                    for one in walk(expression(text)):
                        if one[0] == "col":
                            for owner in catalog.relations.values():
                                if one[1][-1] in owner.columns and (len(one[1]) == 1 or one[1][-2] in text):
                                    yield owner.full, one[1][-1]
        for check in relation.checks:
            for name in re.findall(r"\(*\"?([\w]+)\"?\)*(?:::\w+)? >=? \(?'?0", check):
                if name in relation.columns:
                    yield relation.full, name


def _changed(catalog: Catalog, codes: dict[int, Code]) -> dict[tuple[str, str], str]:
    """Columns that are counted up or down, and which way work moves them."""
    found: dict[tuple[str, str], str] = {}
    raised: set[tuple[str, str]] = set()
    for code in codes.values():
        for event in code.events:
            if event.kind != "write" or event.verb != "update":
                continue
            for column, value in event.sets:
                for form in forms(value, event.table, column):
                    if form.old == "none":
                        continue
                    key = (event.table, column)
                    if form.minus():
                        found[key] = "counter"
                    elif form.plus():
                        found.setdefault(key, "used")
                        raised.add(key)
    floors = _floors(codes)
    # What is counted up to a limit was used, also where a refund counts it down.
    found.update((key, "used") for key in raised & _up_to_a_limit(codes))
    for key, kind in list(found.items()):
        relation = catalog.relation(key[0])
        never_below = (
            any(re.search(rf"\b{re.escape(key[1])}\b.*>=", check) for check in relation.checks) if relation else False
        )
        if kind == "used" and (never_below or ("c", *key) in floors):
            found[key] = "counter"
    return found


def _up_to_a_limit(codes: dict[int, Code]) -> set[tuple[str, str]]:
    """Columns that a statement lets grow while they stay below something, and that none lets shrink to something."""
    below: set[Tree] = set()
    above: set[Tree] = set()
    for part in (part for code in codes.values() for event in code.events for part in event.holds()):
        found = compared(part)
        if found is not None and found[1] != "=":
            left, operator, right = found
            low, high = (left, right) if operator in ("<", "<=") else (right, left)
            below.update(one for one in walk(low) if one[0] == "c")
            above.update(one for one in walk(high) if one[0] == "c")
    return {(one[1], one[2]) for one in below - above}


def _floors(codes: dict[int, Code]) -> set[Tree]:
    """Columns for which work is allowed while the figure is at least something."""
    found: set[Tree] = set()
    for condition in conditions_of(codes.values()):
        for node in walk(condition):
            compares = compared(node) if node[0] == "op" else None
            if compares is not None and compares[1] != "=":
                left, operator, right = compares
                side = left if operator in (">", ">=") else right if operator in ("<", "<=") else ()
                found.update(one for one in walk(side) if one[0] == "c")
    return found


def _limits(catalog: Catalog, codes: dict[int, Code], worth: Worth) -> None:
    """A column of a person's is worth something when it says how many of their rows there may be."""
    for condition in conditions_of(codes.values()):
        found = compared(condition)
        if found is None or found[1] in ("=", "<>"):
            continue
        queries = [one[1] for one in walk(condition) if one[0] == "sub" and len(one[1][1]) == 1]
        counting = [any(one[0] == "call" and one[1] in ("count", "sum") for one in walk(query[1])) for query in queries]
        if not any(counting):
            continue
        for target in (query[1][0][1] for query, counts in zip(queries, counting, strict=True) if not counts):
            limit = bare(target)
            relation = catalog.relation(limit[1]) if limit[0] == "c" else None
            column = relation.columns.get(limit[2]) if relation is not None else None
            if relation is None or column is None or not relation.is_table or relation.is_own:
                continue
            if column.type in NUMBERS and is_personal(relation) and (limit[1], limit[2]) not in worth.kinds:
                worth.kinds[limit[1], limit[2]] = "counter"
                worth.by_use.add((limit[1], limit[2]))


def _documents(catalog: Catalog, codes: dict[int, Code], worth: Worth) -> None:
    """A json column is a balance when code takes one out of it: settings ->> 'credits'."""
    for code in codes.values():
        trees: list[Tree] = [*conditions_of([code])]
        for event in code.events:
            trees += [value for _, value in event.sets]
            trees += [event.value, *event.arguments]
        for one in (node for item in trees for node in walk(item)):
            if one[0] == "op" and one[1] in ("->", "->>") and one[3][0] == "const":
                if not re.match(
                    r"^(.*_)?(credits?|balance|coins|points|tokens|quota|plan|tier)(_.*)?$", str(one[3][1])
                ):
                    continue
                for node in walk(one[2]):
                    relation = catalog.relation(node[1]) if node[0] == "c" else None
                    if relation is not None and not relation.is_own and node[2] in relation.columns:
                        if relation.columns[node[2]].type in DOCUMENTS:
                            worth.kinds[relation.full, node[2]] = "json"


def _counted_documents(catalog: Catalog, codes: dict[int, Code], worth: Worth) -> None:
    """A json column is a balance when work is allowed by a figure in it, and the same code changes it, by any name."""
    for code in codes.values():
        asked = {
            one
            for condition in conditions_of([code])
            for node in walk(condition)
            if (found := compared(node) if node[0] == "op" else None) is not None and found[1] not in ("=", "<>")
            for member in walk(node)
            if member[0] == "op" and member[1] in ("->", "->>", "#>>") and member[3][0] == "const"
            for one in walk(member[2])
            if one[0] == "c"
        }
        for event in code.events:
            for column, value in event.sets if event.kind == "write" and event.verb == "update" else ():
                changes = any(one[0] == "op" and one[1] in ("+", "-") for one in walk(value))
                relation = catalog.relation(event.table)
                if ("c", event.table, column) in asked and changes and relation is not None and not relation.is_own:
                    if column in relation.columns and relation.columns[column].type in DOCUMENTS:
                        worth.kinds[event.table, column] = "json"
                        worth.by_use.add((event.table, column))


def _ledgers(catalog: Catalog, codes: dict[int, Code], worth: Worth) -> None:
    """A column is a row of a ledger when it is summed before work is allowed, or a trigger adds it to a balance."""
    for condition in conditions_of(codes.values()):
        for one in walk(condition):
            if one[0] == "call" and one[1] == "sum" and one[2] and bare(one[2][0])[0] == "c":
                _, table, column = bare(one[2][0])
                relation = catalog.relation(table)
                if relation is not None and relation.is_table and not relation.is_own and is_personal(relation):
                    worth.kinds.setdefault((table, column), "delta")
                    worth.by_use.add((table, column))
    for relation in catalog.relations.values():
        for trigger in relation.triggers:
            code = codes.get(trigger.function)
            if code is None or relation.is_own or not trigger.runs_at("insert"):
                continue
            for event in code.events:
                if event.kind != "write":
                    continue
                for column, value in event.sets:
                    if worth.of(event.table, column) not in ("counter", "used"):
                        continue
                    for form in forms(value, event.table, column):
                        sign = 1 if worth.of(event.table, column) == "counter" else -1
                        for atom in form.plus() if sign > 0 else form.minus():
                            if form.old != "none" and atom[0] == "new":
                                worth.kinds[relation.full, atom[1]] = "delta"
                                worth.by_use.add((relation.full, atom[1]))


def _roles(catalog: Catalog, codes: dict[int, Code], worth: Worth) -> None:
    """A role is what an administrator is asked for."""
    texts = [policy.using or "" for one in catalog.relations.values() for policy in one.policies]
    texts += [policy.check or "" for one in catalog.relations.values() for policy in one.policies]
    trees = [*conditions_of(codes.values()), *(expression(text) for text in texts if text)]
    for one in (node for item in trees for node in walk(item)):
        if one[0] == "select":
            for part in parts_of(one[3]):
                for node in walk(part):
                    if node[0] == "op" and node[1] == "=" and node[3][0] == "const" and ADMIN.search(str(node[3][1])):
                        column, tables = node[2], [from_[1] for from_ in one[2] if from_[0] == "table"]
                    elif (
                        node[0] == "in"
                        and of_caller(one[3])
                        and any(ADMIN.search(str(c[1])) for c in node[2] if c[0] == "const")
                    ):
                        column, tables = node[1], [from_[1] for from_ in one[2] if from_[0] == "table"]
                    elif node[0] in ("c", "col") and ADMIN.search(str(node[-1] if node[0] == "c" else node[1][-1])):
                        column, tables = node, [from_[1] for from_ in one[2] if from_[0] == "table"]
                    else:
                        continue
                    _role(catalog, worth, column, tables)
            for _, target in one[1]:
                if target[0] == "c" and ADMIN.search(target[2]):
                    _role(catalog, worth, target, [target[1]])
        elif (
            one[0] == "op"
            and one[1] == "="
            and one[3][0] == "const"
            and ADMIN.search(str(one[3][1]))
            and one[2][0] == "sub"
        ):
            for _, target in one[2][1][1]:
                _role(catalog, worth, target, [target[1]] if target[0] == "c" else [])


def _role(catalog: Catalog, worth: Worth, column: Tree, tables: list[str]) -> None:
    name = column[2] if column[0] == "c" else column[1][-1] if column[0] == "col" else ""
    for table in [column[1]] if column[0] == "c" else tables:
        relation = catalog.relation(table)
        if relation is not None and relation.is_table and not relation.is_own and name in relation.columns:
            if relation.columns[name].type not in NUMBERS:
                worth.kinds.setdefault((relation.full, name), "role")


def events_of(codes: dict[int, Code]) -> Iterator[Event]:
    """All events of all functions."""
    for code in codes.values():
        yield from code.events
