"""The builders of :mod:`sonas_supabase._calls`, for calls on whole accounts and on the whole system."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sonas_supabase import _arguments as arg
from sonas_supabase import models
from sonas_supabase._calls import Call, Id
from sonas_supabase._parse import parse

T = TypeVar("T")


def reset_monthly_credits(user_id: Id | None) -> Call[models.Reset]:
    return Call(
        "reset_monthly_credits",
        {"user_id": arg.optional_uuid("user_id", user_id)},
        partial(parse, models.Reset),
        # Restarting one allowance twice would give back what was spent in between.
        repeatable=user_id is None,
    )


def change_plan(
    user_id: Id,
    plan_id: str,
    *,
    effective: str,
    idempotency_key: str | None,
    workspace_id: Id | None,
) -> Call[models.PlanChange]:
    return Call(
        "change_plan",
        {
            "user_id": arg.uuid("user_id", user_id),
            "plan_id": arg.text("plan_id", plan_id),
            "effective": arg.text("effective", effective),
            "idempotency_key": arg.optional_text("idempotency_key", idempotency_key),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        partial(parse, models.PlanChange),
        keyed=True,
    )


def set_subscription_status(user_id: Id, status: str, *, workspace_id: Id | None) -> Call[models.StatusChange]:
    return _on_account(
        "set_subscription_status",
        models.StatusChange,
        user_id,
        workspace_id,
        status=arg.text("status", status),
    )


def set_time_zone(user_id: Id, time_zone: str, *, workspace_id: Id | None) -> Call[models.TimeZoneChange]:
    return _on_account(
        "set_time_zone",
        models.TimeZoneChange,
        user_id,
        workspace_id,
        time_zone=arg.text("time_zone", time_zone),
    )


def freeze_account(user_id: Id, *, reason: str | None, workspace_id: Id | None) -> Call[models.StatusChange]:
    return _on_account(
        "freeze_account",
        models.StatusChange,
        user_id,
        workspace_id,
        reason=arg.optional_text("reason", reason),
    )


def unfreeze_account(user_id: Id, *, reason: str | None, workspace_id: Id | None) -> Call[models.StatusChange]:
    return _on_account(
        "unfreeze_account",
        models.StatusChange,
        user_id,
        workspace_id,
        reason=arg.optional_text("reason", reason),
    )


def mark_test_account(user_id: Id, *, workspace_id: Id | None) -> Call[models.Clock]:
    return _on_account("mark_test_account", models.Clock, user_id, workspace_id)


def set_test_clock(user_id: Id, now: datetime, *, workspace_id: Id | None) -> Call[models.Clock]:
    return _on_account("set_test_clock", models.Clock, user_id, workspace_id, now=arg.time("now", now))


def get_credit_summary(user_id: Id, *, workspace_id: Id | None) -> Call[models.Summary]:
    return _on_account("get_credit_summary", models.Summary, user_id, workspace_id)


def explain_operation(user_id: Id, operation_id: Id, *, workspace_id: Id | None) -> Call[models.Operation]:
    return _on_account(
        "explain_operation",
        models.Operation,
        user_id,
        workspace_id,
        operation_id=arg.uuid("operation_id", operation_id),
    )


def get_credit_history(
    user_id: Id,
    *,
    credit_type: str | None,
    limit: int,
    before: datetime | None,
    workspace_id: Id | None,
) -> Call[tuple[models.HistoryEntry, ...]]:
    return Call(
        "get_credit_history",
        {
            "user_id": arg.uuid("user_id", user_id),
            "credit_type": arg.optional_text("credit_type", credit_type),
            "limit": arg.integer("limit", limit),
            "before": arg.optional_time("before", before),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        lambda answer: parse(models.HistoryPage, answer).entries,
        repeatable=True,
    )


def list_plans() -> Call[tuple[models.Plan, ...]]:
    return Call("list_plans", {}, lambda answer: parse(models.PlanList, answer).plans, repeatable=True)


def system_status() -> Call[models.SystemStatus]:
    return Call("system_status", {}, partial(parse, models.SystemStatus), repeatable=True)


def verify_books(user_id: Id | None, *, workspace_id: Id | None, rule: int | None) -> Call[models.Verification]:
    return Call(
        "verify_books",
        {
            "user_id": arg.optional_uuid("user_id", user_id),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
            "rule": None if rule is None else arg.integer("rule", rule),
        },
        partial(parse, models.Verification),
        repeatable=True,
    )


def verify_checklist() -> Call[models.Checklist]:
    return Call("verify_checklist", {}, partial(parse, models.Checklist), repeatable=True)


def diagnose() -> Call[models.Diagnosis]:
    return Call("diagnose", {}, partial(parse, models.Diagnosis), repeatable=True)


def _on_account(function: str, kind: type[T], user_id: Id, workspace_id: Id | None, **arguments: Any) -> Call[T]:
    """A call whose second run finds nothing left to do."""
    return Call(
        function,
        {
            "user_id": arg.uuid("user_id", user_id),
            **arguments,
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        partial(parse, kind),
        repeatable=True,
    )
