"""The builders of :mod:`sonas_supabase._calls`, for calls that tell, prove, take over and forget."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial

from sonas_supabase import _arguments as arg
from sonas_supabase import certainty
from sonas_supabase._calls import Call, Id
from sonas_supabase._parse import parse


def explain_balance(
    user_id: Id,
    credit_type: str,
    *,
    since: datetime | None,
    until: datetime | None,
    workspace_id: Id | None,
) -> Call[certainty.BalanceStory]:
    return Call(
        "explain_balance",
        {
            "user_id": arg.uuid("user_id", user_id),
            "credit_type": arg.text("credit_type", credit_type),
            "since": arg.optional_time("since", since),
            "until": arg.optional_time("until", until),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        partial(parse, certainty.BalanceStory),
        repeatable=True,
    )


def find_operation(operation_id: Id) -> Call[certainty.FoundOperation]:
    return Call(
        "find_operation",
        {"operation_id": arg.uuid("operation_id", operation_id)},
        partial(parse, certainty.FoundOperation),
        repeatable=True,
    )


def ledger_digest(
    user_id: Id | None,
    *,
    after: certainty.LedgerEnd | None,
    ends: Iterable[certainty.LedgerEnd] | None,
    workspace_id: Id | None,
) -> Call[certainty.LedgerDigest]:
    return Call(
        "ledger_digest",
        {
            "user_id": arg.optional_uuid("user_id", user_id),
            "after": None if after is None else _end("after", after),
            "ends": None if ends is None else [_end("ends", end) for end in ends],
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        partial(parse, certainty.LedgerDigest),
        repeatable=True,
    )


def _end(name: str, end: certainty.LedgerEnd) -> dict[str, str | int]:
    return {
        "account_id": arg.uuid(name, end.account_id),
        "credit_type": arg.text(name, end.credit_type),
        "version": end.version,
    }


def import_balances(
    table: str,
    user_column: str,
    balance_column: str,
    credit_type: str,
    *,
    source: str,
    expected_total: int | None,
    dry_run: bool,
) -> Call[certainty.BalanceImport]:
    return Call(
        "import_balances",
        {
            "table": arg.text("table", table),
            "user_column": arg.text("user_column", user_column),
            "balance_column": arg.text("balance_column", balance_column),
            "credit_type": arg.text("credit_type", credit_type),
            "source": arg.text("source", source),
            "expected_total": expected_total,
            "dry_run": dry_run,
        },
        partial(parse, certainty.BalanceImport),
        # A second run finds the grants of the first one.
        repeatable=True,
    )


def export_account(
    user_id: Id, *, table: str | None, offset: int | None, limit: int | None
) -> Call[certainty.AccountExport]:
    return Call(
        "export_account",
        {
            "user_id": arg.uuid("user_id", user_id),
            "table": arg.optional_text("table", table),
            "offset": None if offset is None else arg.integer("offset", offset),
            "limit": None if limit is None else arg.integer("limit", limit),
        },
        partial(parse, certainty.AccountExport),
        repeatable=True,
    )


def forget_account(user_id: Id) -> Call[certainty.Forgotten]:
    return Call(
        "forget_account",
        {"user_id": arg.uuid("user_id", user_id)},
        partial(parse, certainty.Forgotten),
        repeatable=True,
    )
