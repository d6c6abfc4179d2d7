"""Columns of worth that users may write, and rows that they may read of others."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sonas_supabase import Finding

from ._catalog import NUMBERS, TIMES, UUID, Catalog, Column, Relation
from ._code import Reader
from ._doors import Doors
from ._finding import as_user, closing, finding, identifier, insert_into, told
from ._guards import any_holds, compared, is_caller, names_rank, of_caller
from ._metadata import metadata_key, trusting
from ._moves import Codes
from ._tree import NotReadable, Tree, parts_of, statements, walk
from ._worth import OWNER, PERSONS, Worth, by_name, conditions_of, is_personal, may_be_personal, snake

_WHAT = {"plan": "a plan", "role": "the rights that go with it"}
_HOLDS = re.compile(r"(hold|reserv|debit|charge)", re.IGNORECASE)
_LOG = re.compile(r"(usage|ledger|transaction|credit|wallet|balance|payment|invoice|spend)", re.IGNORECASE)


class Tables:
    """Judges tables, policies and views."""

    def __init__(self, catalog: Catalog, codes: Codes, worth: Worth, doors: Doors) -> None:
        self.catalog, self.codes, self.worth, self.doors = catalog, codes, worth, doors
        self.findings: list[Finding] = []
        self._bases: dict[int, set[int]] = {}

    def judge(self) -> list[Finding]:
        """All findings about tables and views."""
        for relation in self.catalog.relations.values():
            if relation.of_extension:
                continue
            if relation.is_table and not relation.is_own:
                self._writes(relation)
                self._reads(relation)
                self._trust(relation)
            elif relation.kind in ("v", "m") and not relation.is_own:
                self._view(relation)
        self._usage()
        self._deleted()
        return self.findings

    def _add(self, code: str, severity: str, title: str, meaning: str, trial: str, mend: str) -> None:
        self.findings.append(finding(code, severity, title, meaning, trial, mend))

    # Writing

    def _writes(self, relation: Relation) -> None:
        for column in relation.columns.values():
            kind = self.worth.of(relation.full, column.name)
            if kind is None or (relation.full == "public.usage" and column.name == "credits_used"):
                continue
            for verb in ("update", "insert"):
                roles = self.doors.may_write(relation, column, verb)
                if kind == "role":
                    roles = [role for role in roles if not self._is_handed_on(relation, role, verb)]
                if roles:
                    self._open_column(relation, column, kind, verb, roles)

    def _open_column(self, relation: Relation, column: Column, kind: str, verb: str, roles: list[str]) -> None:
        if verb == "insert" and not self._pays_to_insert(relation, kind):
            return
        code = {"plan": "users_choose_plan", "role": "users_choose_role"}.get(kind, "users_write_balance")
        value = _value(column, kind)
        by_use = (relation.full, column.name) in self.worth.by_use
        by_name = self._says_only_its_name(relation, column, kind)
        how = ", with a value of their choice, by adding a row" if verb == "insert" else ""
        others = [
            identifier(other.name)
            for other in relation.columns.values()
            if not other.generated and self.worth.of(relation.full, other.name) is None
            and roles[-1] in (other.updated_by if verb == "update" else other.inserted_by)
        ]  # fmt: skip
        mend = f"revoke {verb} on table {relation.title} from {closing(self.catalog)};"
        if others:
            named = ", ".join(identifier(role) for role in roles)
            mend += f" grant {verb} ({', '.join(others)}) on table {relation.title} to {named};"
        self._add(
            code,
            "medium" if by_name else "critical" if verb == "update" or kind == "role" else "high",
            f"{relation.title}.{identifier(column.name)}",
            f"{told(roles)} may {verb} it over the API{how}. A caller who does has {_WHAT.get(kind, 'credits')} for nothing"
            + (", if it is what its name says." if by_name else ".")
            + (" Work is allowed by what it says." if by_use else ""),
            as_user(
                roles[0],
                f"update {relation.title} set {identifier(column.name)} = {value}"
                if verb == "update"
                else insert_into(relation, column.name, value),
            ),
            mend,
        )

    def _says_only_its_name(self, relation: Relation, column: Column, kind: str) -> bool:
        """Whether nothing but a name speaks for it, in a table of which a user has many rows: songs have credits, too."""
        key = (relation.full, column.name)
        if kind not in ("plan", "counter", "used") or key in self.worth.by_use or key in self.worth.gated:
            return False
        if PERSONS.search(relation.name) or _LOG.search(relation.name) or not relation.rls:
            return False
        own = self._of_caller(relation)
        return bool(own) and not any(keys <= own for keys in relation.keys if keys)

    def _is_handed_on(self, relation: Relation, role: str, verb: str) -> bool:
        """Whether all who may write rows of a team have a rank in it already: owners name members and owners."""
        for policy in self.doors.admitting(relation, role, {"update": "w*", "insert": "a*"}[verb]):
            text = policy.check if policy.check is not None else policy.using
            if not any_holds(self.doors.parts(relation, text), lambda part: self._asks_rank(relation, part)):
                return False
        return True

    def _asks_rank(self, relation: Relation, part: Tree) -> bool:
        if part[0] == "in" and len(part[2]) == 1 and part[2][0][0] == "sub":
            query, ties = part[2][0][1], part[1][0] == "c" and part[1][1] == relation.full
        elif part[0] == "exists":
            query = part[1]
            ties = any(
                node[0] == "op" and node[1] == "=" and node[2][0] == node[3][0] == "c" and relation.full in (node[2][1], node[3][1])
                for one in parts_of(query[3]) for node in walk(one)
            )  # fmt: skip
        else:
            return False
        return bool(ties and query[0] == "select" and of_caller(query[3])) and any_holds(parts_of(query[3]), names_rank)

    def _pays_to_insert(self, relation: Relation, kind: str) -> bool:
        # A counter of what was used begins at nothing anyway.
        return kind != "used"

    # Reading

    def _reads(self, relation: Relation) -> None:
        worth = self.worth.columns(relation.full)
        money = {name: kind for name, kind in worth.items() if kind in ("counter", "used", "json", "delta", "plan")}
        if not self.catalog.is_served(relation.schema) or not may_be_personal(relation):
            return
        readers = [
            role for role in relation.reached_by if any(role in column.read_by for column in relation.columns.values())
        ]
        if not readers:
            return
        if not relation.rls:
            if worth and may_be_personal(relation):
                self._add(
                    "table_without_rls", "high", relation.title,
                    f"Row level security is off, and {told(readers)} may read it: every user sees what all have.",
                    as_user(readers[0], f"select * from {relation.title} limit 5"),
                    f"alter table {relation.title} enable row level security;  -- and a policy: using (auth.uid() = <the user's "
                    "column>)",
                )  # fmt: skip
            return
        if not is_personal(relation):
            return
        shown = {name: [role for role in readers if role in relation.columns[name].read_by] for name in money}
        figures = [name for name, roles in shown.items() if roles and money[name] != "plan"]
        log = bool(_LOG.search(relation.name)) and not re.search(r"(pack|price|plan|product)s?$", relation.name)
        if not figures and not log:
            return
        for role in readers:
            if figures and not any(role in shown[name] for name in figures):
                continue
            for policy in self.doors.admitting(relation, role, "r*"):
                if self._is_wide(relation, policy.using):
                    mostly = log or len(figures) * 2 >= len(relation.columns) - 2
                    named = ", ".join(figures) or "what each has used"
                    self._add(
                        "balance_is_public", "high" if mostly else "medium", relation.title,
                        f"The policy {identifier(policy.name)} shows {role} the rows of all users, with {named}.",
                        as_user(role, f"select * from {relation.title} limit 5"),
                        f"drop policy {identifier(policy.name)} on {relation.title};  -- and make one with: using (auth.uid() = "
                        "<the user's column>); what is meant for all belongs into a view without the figures",
                    )  # fmt: skip
                    return

    def _is_wide(self, relation: Relation, text: str | None) -> bool:
        """Whether a policy for reading says nothing of whose rows they are."""
        parts = self.doors.parts(relation, text or "true")

        def narrows(part: Tree) -> bool:
            if any(
                (node[0] == "call" and node[1] != "auth.role" and ("." in node[1] or node[2]))
                or node[0] in ("exists", "sub")
                for node in walk(part)
            ):  # fmt: skip
                return part[0] != "not" and not (part[0] == "op" and part[1] == "<>")
            # What is published, shared, or of a certain kind is meant to be seen.
            return any(
                node[0] == "c" and re.search(r"(public|published|visible|shared|listed|is_template)", node[2])
                for node in walk(part)
            )

        return not any_holds(parts, narrows)

    def _trust(self, relation: Relation) -> None:
        for policy in relation.policies:
            key = metadata_key([*self.doors.parts(relation, policy.using), *self.doors.parts(relation, policy.check)])
            if key is not None:
                self.findings.append(trusting(f"policy {identifier(policy.name)} on {relation.regclass}", key))

    # Views

    def _bases_of(self, view: Relation, seen: frozenset[int] = frozenset()) -> set[int]:
        """The tables whose rows a view shows with its owner's rights."""
        if view.oid in self._bases:
            return self._bases[view.oid]
        found: set[int] = set()
        try:
            body = statements(view.definition or "")
        except NotReadable:
            body = []
        for one in body:
            for name in _tables(one):
                relation = self.catalog.relation(name)
                if relation is None or relation.oid in seen:
                    continue
                if relation.is_table:
                    found.add(relation.oid)
                elif not relation.invoker:
                    found |= self._bases_of(relation, seen | {view.oid})
        self._bases[view.oid] = found
        return found

    def _view(self, view: Relation) -> None:
        if not self.catalog.is_served(view.schema):
            return
        tree = self.codes.view(view)
        if tree is not None:
            key = metadata_key([tree])
            if key is not None:
                self.findings.append(trusting(f"view {view.regclass}", key))
        if view.kind == "v" and view.invoker:
            return
        self._writes_through(view)
        readers = [role for role in view.reached_by if any(role in column.read_by for column in view.columns.values())]
        if not readers or (tree is not None and self._asks_who(tree)):
            return
        bases = [self.catalog.relations[oid] for oid in self._bases_of(view)]
        guarded = [base for base in bases if base.rls]
        money = [base for base in guarded if self._is_money(base)]
        if not money or (tree is not None and self._is_summary(tree)):
            return
        # A view for all that leaves the figures out shows nothing that they are worth.
        if all(self._shows_no_figure(view, base) for base in money):
            return
        names = ", ".join(sorted(base.regclass for base in money))
        self._add(
            "view_bypasses_rls", "high", view.regclass,
            f"It shows rows of {names} with its owner's rights, so row level security does not apply, and {told(readers)} may "
            "read it.",
            as_user(readers[0], f"select * from {view.regclass} limit 5"),
            f"alter view {view.regclass} set (security_invoker = true);" if view.kind == "v"
            else f"revoke select on {view.regclass} from {closing(self.catalog)};",
        )  # fmt: skip

    def _is_money(self, base: Relation) -> bool:
        if base.is_own or base.full == "public.usage":
            return True
        if self.worth.columns(base.full):
            return True
        return bool(_LOG.search(base.name)) and is_personal(base)

    def _shows_no_figure(self, view: Relation, base: Relation) -> bool:
        if base.is_own or _LOG.search(base.name):
            return False
        named = set(self.worth.columns(base.full))
        return (
            not named & set(view.columns)
            and not any(by_name(view, column) for column in view.columns.values())
            and not any(column.type in NUMBERS for column in view.columns.values())
        )

    @staticmethod
    def _asks_who(tree: Tree) -> bool:
        return any(
            node[0] == "call" and node[1] in ("auth.uid", "auth.jwt", "auth.email", "auth.role") for node in walk(tree)
        )

    def _is_summary(self, tree: Tree) -> bool:
        """Whether it adds up over everybody: a total says nothing of a single user."""
        if tree[0] != "select" or not tree[1]:
            return False
        aggregates = {"sum", "count", "avg", "min", "max"}
        if any(self._is_person(target[1]) for target in tree[1]):
            return False
        calls = [any(n[0] == "call" and n[1] in aggregates for n in walk(target[1])) for target in tree[1]]
        return all(calls) or (bool(tree[5]) and any(calls))

    def _is_person(self, value: Tree) -> bool:
        """Whether a column says whose a row is, by its name, its type or what it refers to."""
        if value[0] == "col":
            return bool(OWNER.search(snake(str(value[1][-1]))))
        if value[0] != "c":
            return False
        relation = self.catalog.relation(value[1])
        column = relation.columns.get(value[2]) if relation is not None else None
        if relation is not None and column is not None and (column.name in relation.user_columns):
            return True
        return bool(OWNER.search(snake(str(value[2])))) or (
            column is not None and column.type == UUID and relation is not None and relation.is_personal
            and column.name in self._of_caller(relation)
        )  # fmt: skip

    def _of_caller(self, relation: Relation) -> set[str]:
        """The columns that policies compare with the caller."""
        found = set()
        for policy in relation.policies:
            for text in (policy.using, policy.check):
                for part in self.doors.parts(relation, text):
                    if part[0] == "op" and part[1] == "=":
                        for side, other in ((part[2], part[3]), (part[3], part[2])):
                            if side[0] == "c" and side[1] == relation.full and is_caller(other):
                                found.add(str(side[2]))
        return found

    def _writes_through(self, view: Relation) -> None:
        if view.kind != "v":
            return
        reader = Reader(self.codes.shell(view), self.catalog, self.codes.of)
        base, renames = reader.catalog_base(view)
        for column in view.columns.values():
            below = self.worth.of(base.full, renames.get(column.name, column.name)) if base is not None else None
            kind = below or by_name(view, column)
            if kind is None or not column.updatable:
                continue
            writers = {
                verb: [role for role in roles if role in view.reached_by]
                for verb, roles in (("update", column.updated_by), ("insert", column.inserted_by))
            }
            roles = sorted({role for found in writers.values() for role in found})
            if not roles or (base is not None and self.doors.guarded(base, renames.get(column.name, column.name))):
                continue
            verbs = [verb for verb, found in writers.items() if found]
            value = _value(column, kind) if kind in ("used", "counter", "delta") else identifier(column.name)
            self._add(
                "users_write_balance" if kind not in ("plan", "role") else f"users_choose_{kind}",
                "critical", f"{view.regclass}.{identifier(column.name)}",
                f"{told(roles)} may {' and '.join(verbs)} through this view, which does it with its owner's rights: row level "
                "security of the table does not apply, and all rows can be written that it shows.",
                as_user(roles[0], f"update {view.regclass} set {identifier(column.name)} = {value}"),
                f"revoke insert, update, delete on table {view.regclass} from {closing(self.catalog)};  -- and alter view "
                f"{view.regclass} set (security_invoker = true);",
            )  # fmt: skip

    # Rows that a limit counts

    def _deleted(self) -> None:
        """Rows that are counted before work is allowed, and that users may take away again."""
        counted: dict[str, None] = {}
        for condition in conditions_of(self.codes.read.values()):
            counted.update(dict.fromkeys(self._counted(condition)))
        for relation in self.catalog.relations.values():
            for policy in relation.policies:
                for part in [*self.doors.parts(relation, policy.using), *self.doors.parts(relation, policy.check)]:
                    counted.update(dict.fromkeys(self._counted(part)))
        for named in (self.catalog.relation(name) for name in counted):
            roles = self.doors.doors(named, "delete") if named is not None else ()
            if named is None or not roles or any(t.is_before and t.runs_at("delete") for t in named.triggers):
                continue
            self._add(
                "users_delete_usage", "high", named.title,
                f"Work is allowed by how many of its rows there are, and {told(roles)} may delete them over the API: who "
                "does begins again at nothing.",
                as_user(roles[0], f"delete from {named.title}"),
                f"revoke delete on table {named.title} from {closing(self.catalog)};  -- hide rows by a column of their own "
                "instead, or count in a table that users cannot write",
            )  # fmt: skip

    def _counted(self, condition: Tree) -> Iterator[str]:
        """The tables whose rows of a time are counted and compared. What exists may be deleted: it frees its place."""
        for node in walk(condition):
            found = compared(node) if node[0] == "op" else None
            for side in (found[0], found[2]) if found is not None and found[1] != "=" else ():
                for query in (one[1] for one in walk(side) if one[0] == "sub"):
                    calls = [one for _, target in query[1] for one in walk(target) if one[0] == "call"]
                    if any(one[1] in ("count", "sum") for one in calls):
                        for table in (one[1] for one in query[2] if one[0] == "table"):
                            if self._asks_time(table, query[3]) or (
                                any(one[1] == "sum" for one in calls) and (_LOG.search(table) or _HOLDS.search(table))
                            ):
                                yield table

    def _asks_time(self, table: str, where: Tree | None) -> bool:
        relation = self.catalog.relation(table)
        for part in parts_of(where):
            for node in walk(part):
                if node[0] == "c" and node[1] == table and relation is not None and node[2] in relation.columns:
                    found = compared(part)
                    if relation.columns[node[2]].type in TIMES and (found is not None or part[0] == "in"):
                        return True
        return False

    # The log of attempts

    def _usage(self) -> None:
        usage = self.catalog.relation_names.get("public.usage")
        if usage is None or "credit_type" not in usage.columns or not self.catalog.own_functions:
            return
        verbs = {verb: self.doors.doors(usage, verb) for verb in ("insert", "update", "delete")}
        roles = sorted({role for found in verbs.values() for role in found})
        if roles:
            self._add(
                "usage_may_be_written", "medium", "public.usage",
                f"{told(roles)} may {', '.join(verb for verb, found in verbs.items() if found)} it over the API: the log of "
                "attempts, and every report made from it, is theirs to write. The ledger is not touched by it.",
                as_user(roles[0], "delete from public.usage"),
                f"revoke insert, update, delete, truncate on table public.usage from {closing(self.catalog)};",
            )  # fmt: skip


def _value(column: Column, kind: str) -> str:
    if kind == "role":
        return "true" if column.category == "B" else "'admin'"
    if kind == "plan":
        found = {"B": "true", "D": "'2099-01-01'", "S": "'<another plan>'", "E": "'<another plan>'"}
        return found.get(column.category, "<another plan>")
    return {"json": "'{\"credits\": 1000000}'", "used": "0"}.get(kind, "1000000")


def _tables(node: object) -> list[str]:
    """The relations that a statement names."""
    found, waiting = [], [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "RangeVar" in one:
                body = one["RangeVar"]
                name = body.get("relname", "")
                found.append(f"{body['schemaname']}.{name}" if body.get("schemaname") else name)
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found
