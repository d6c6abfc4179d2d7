"""The lines of the history: what an entry of the ledger is to a viewer, and which ones are one thing that happened.

The ledger has an entry for each grant that something touched. One plan change is four of them, one generation two.
Lines with the same ``group`` are one thing to a person. Each of them stays as it is, so nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sonas_supabase import HistoryEntry

PROJECTS_TABLE = "public.projects"
GENERATE = "Generate: "
CHAT = "Chat: "
_CHAT_BEFORE = "Chat message"
_DELETED = f"{PROJECTS_TABLE} deleted"
_RESTARTED = "allowance restarted"
_PERIOD_KINDS = frozenset({"grant", "expire", "void"})
_PERIOD_SOURCES = frozenset({"plan", "trial", "rollover"})
# A plan change writes its entries type by type.
_AT_ONCE = timedelta(seconds=2)
_TITLES = {
    "grant": "Credits granted",
    "consume": "Credits used",
    "capture": "Credits used",
    "refund": "Credits given back",
    "expire": "Credits expired",
    "void": "Credits taken back",
    "denied": "Refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantFacts:
    """What there is to know of a grant beside its ledger: where it comes from, and of which plan it is."""

    id: UUID
    source: str
    plan_id: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationLine:
    """One line of the history. ``amount`` is signed: what was spent is negative; None for a refusal.

    ``refused`` attempts cost nothing and changed nothing; ``required`` is what was asked for, ``available`` what there
    was. ``what`` says what happened, ``about`` in the user's own words with what; ``plan`` is the name of the plan that
    the credits are of, ``source`` where they come from. Lines of one ``group`` are one thing that happened.
    """

    operation_id: UUID
    kind: str
    title: str
    credit_type: str
    amount: int | None
    balance_after: int | None
    refused: bool
    created_at: datetime
    what: str = "spent"
    about: str | None = None
    project: str | None = None
    plan: str | None = None
    source: str | None = None
    required: int | None = None
    available: int | None = None
    group: str = ""


Grants = Mapping[UUID, GrantFacts]


def joins(group: Sequence[HistoryEntry], entry: HistoryEntry, grants: Grants) -> bool:
    """Whether the next older entry belongs to the same thing that happened."""
    last = group[-1]
    if entry.operation_id == last.operation_id:
        return True
    near = last.created_at - entry.created_at
    if near == timedelta() and last.credit_type == entry.credit_type and _cause(last) == _cause(entry):
        return True
    if _is_made_by_trigger(last) and entry.kind == "capture":
        return len(group) == 1 and "project" in entry.metadata and near <= _AT_ONCE
    if not all(_is_of_a_period(one, grants) for one in (last, entry)) or near > _AT_ONCE:
        return False
    if _is_restart(last, grants) != _is_restart(entry, grants):
        return False
    return all((entry.credit_type, entry.kind) != (one.credit_type, one.kind) for one in group)


def _cause(entry: HistoryEntry) -> UUID:
    """The operation that an entry comes of: what comes back too late is lost again, and says of which refund."""
    is_loss = entry.kind in ("expire", "void")
    return entry.related_operation_id if is_loss and entry.related_operation_id else entry.operation_id


def _is_made_by_trigger(entry: HistoryEntry) -> bool:
    return entry.kind == "consume" and entry.description == PROJECTS_TABLE


def _is_of_a_period(entry: HistoryEntry, grants: Grants) -> bool:
    grant = grants.get(entry.grant_id) if entry.grant_id else None
    return entry.kind in _PERIOD_KINDS and grant is not None and grant.source in _PERIOD_SOURCES


def _is_restart(entry: HistoryEntry, grants: Grants) -> bool:
    return _is_of_a_period(entry, grants) and entry.description == _RESTARTED


def lines_of(history: Iterable[HistoryEntry], grants: Grants, plans: Mapping[str, str]) -> list[OperationLine]:
    """The lines of entries that are in order, the newest first. One operation on several grants is one line."""
    groups: list[list[HistoryEntry]] = []
    for entry in history:
        if groups and joins(groups[-1], entry, grants):
            groups[-1].append(entry)
        else:
            groups.append([entry])
    return [line for group in groups for line in _lines(group, grants, plans)]


def _lines(group: list[HistoryEntry], grants: Grants, plans: Mapping[str, str]) -> Iterable[OperationLine]:
    parts: dict[tuple[UUID, str, str], list[HistoryEntry]] = {}
    for entry in group:
        parts.setdefault((entry.operation_id, entry.kind, entry.credit_type), []).append(entry)
    name = str(group[0].operation_id)
    for (operation_id, kind, credit_type), entries in parts.items():
        last = max(entries, key=lambda entry: entry.version)
        grant = grants.get(last.grant_id) if last.grant_id else None
        what, about = _meaning(last, grant)
        project = last.metadata.get("project")
        yield OperationLine(
            operation_id=operation_id,
            kind=kind,
            title=title_of(kind, last.description),
            credit_type=credit_type,
            amount=sum(entry.amount for entry in entries),
            balance_after=last.balance_after,
            refused=False,
            created_at=last.created_at,
            what=what,
            about=about,
            project=project if isinstance(project, str) else None,
            plan=plans.get(grant.plan_id) if grant and grant.plan_id else None,
            source=grant.source if grant else None,
            group=name,
        )


def _meaning(entry: HistoryEntry, grant: GrantFacts | None) -> tuple[str, str | None]:
    if grant and entry.kind in _PERIOD_KINDS and grant.source in _PERIOD_SOURCES:
        return _of_period(entry, grant), None
    named = {"grant": "given", "expire": "expired", "void": "taken", "refund": "given_back"}.get(entry.kind)
    if named == "given_back" and entry.description == _DELETED:
        return "project_deleted", None
    return (named, entry.description) if named else work_of(entry.description or _priced(entry))


def _priced(entry: HistoryEntry) -> str | None:
    """The name of a priced operation, such as that of a model."""
    name = entry.metadata.get("operation")
    return name if isinstance(name, str) else None


def _of_period(entry: HistoryEntry, grant: GrantFacts) -> str:
    if entry.description == _RESTARTED:
        return "restarted"
    if entry.kind == "grant":
        return "upgrade" if entry.description == "upgrade" else grant.source
    return "ended" if entry.kind == "expire" else "withdrawn"


def work_of(description: str | None) -> tuple[str, str | None]:
    """What was done for a charge, and about what: the app's own work, or what a caller has described."""
    if description == PROJECTS_TABLE:
        return "project_created", None
    for begin, what in ((GENERATE, "generate"), (CHAT, "chat")):
        if description and description.startswith(begin):
            return what, description.removeprefix(begin)
    return ("chat", None) if description == _CHAT_BEFORE else ("spent", description)


def title_of(kind: str, description: str | None) -> str:
    """A line in English words."""
    if description == PROJECTS_TABLE:
        return "Project created"
    if description == _DELETED:
        return "Project deleted"
    title = description or _TITLES.get(kind, kind)
    return title[0].upper() + title[1:]
