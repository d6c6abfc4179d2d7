"""The builders of :mod:`sonas_supabase._calls`, for the metrics."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sonas_supabase import _arguments as arg
from sonas_supabase import metric_models as models
from sonas_supabase._calls import Call
from sonas_supabase._parse import parse


def metrics_consumption(
    *,
    since: datetime | None,
    until: datetime | None,
    bucket: str,
    time_zone: str,
    plan: str | None,
    credit_type: str | None,
    include_test: bool,
    raw: bool,
) -> Call[models.Consumption]:
    return Call(
        "metrics_consumption",
        {
            "since": arg.optional_time("since", since),
            "until": arg.optional_time("until", until),
            "bucket": arg.text("bucket", bucket),
            "time_zone": arg.text("time_zone", time_zone),
            "plan": arg.optional_text("plan", plan),
            "credit_type": arg.optional_text("credit_type", credit_type),
            "include_test": arg.boolean("include_test", include_test),
            "raw": arg.boolean("raw", raw),
        },
        partial(parse, models.Consumption),
        repeatable=True,
    )


def metrics_conversion(
    *,
    since: datetime | None,
    until: datetime | None,
    bucket: str,
    time_zone: str,
    include_test: bool,
    raw: bool,
) -> Call[models.Conversion]:
    return Call(
        "metrics_conversion",
        {
            "since": arg.optional_time("since", since),
            "until": arg.optional_time("until", until),
            "bucket": arg.text("bucket", bucket),
            "time_zone": arg.text("time_zone", time_zone),
            "include_test": arg.boolean("include_test", include_test),
            "raw": arg.boolean("raw", raw),
        },
        partial(parse, models.Conversion),
        repeatable=True,
    )


def metrics_usage(
    *,
    by: str,
    metadata_key: str | None,
    since: datetime | None,
    until: datetime | None,
    bucket: str,
    time_zone: str,
    plan: str | None,
    credit_type: str | None,
    limit: int,
    include_test: bool,
    raw: bool,
) -> Call[models.Usage]:
    return Call(
        "metrics_usage",
        {
            "by": arg.text("by", by),
            "metadata_key": arg.optional_text("metadata_key", metadata_key),
            "since": arg.optional_time("since", since),
            "until": arg.optional_time("until", until),
            "bucket": arg.text("bucket", bucket),
            "time_zone": arg.text("time_zone", time_zone),
            "plan": arg.optional_text("plan", plan),
            "credit_type": arg.optional_text("credit_type", credit_type),
            "limit": arg.integer("limit", limit),
            "include_test": arg.boolean("include_test", include_test),
            "raw": arg.boolean("raw", raw),
        },
        partial(parse, models.Usage),
        repeatable=True,
    )


def metrics_exhaustion(
    *,
    since: datetime | None,
    until: datetime | None,
    bucket: str,
    time_zone: str,
    plan: str | None,
    credit_type: str | None,
    include_test: bool,
    raw: bool,
) -> Call[models.Exhaustion]:
    return Call(
        "metrics_exhaustion",
        {
            "since": arg.optional_time("since", since),
            "until": arg.optional_time("until", until),
            "bucket": arg.text("bucket", bucket),
            "time_zone": arg.text("time_zone", time_zone),
            "plan": arg.optional_text("plan", plan),
            "credit_type": arg.optional_text("credit_type", credit_type),
            "include_test": arg.boolean("include_test", include_test),
            "raw": arg.boolean("raw", raw),
        },
        partial(parse, models.Exhaustion),
        repeatable=True,
    )


def metrics_breakage(
    *,
    since: datetime | None,
    until: datetime | None,
    bucket: str,
    time_zone: str,
    plan: str | None,
    credit_type: str | None,
    include_test: bool,
    raw: bool,
) -> Call[models.Breakage]:
    return Call(
        "metrics_breakage",
        {
            "since": arg.optional_time("since", since),
            "until": arg.optional_time("until", until),
            "bucket": arg.text("bucket", bucket),
            "time_zone": arg.text("time_zone", time_zone),
            "plan": arg.optional_text("plan", plan),
            "credit_type": arg.optional_text("credit_type", credit_type),
            "include_test": arg.boolean("include_test", include_test),
            "raw": arg.boolean("raw", raw),
        },
        partial(parse, models.Breakage),
        repeatable=True,
    )


def metrics_active_accounts(
    *,
    since: datetime | None,
    until: datetime | None,
    bucket: str,
    time_zone: str,
    plan: str | None,
    credit_type: str | None,
    include_test: bool,
    raw: bool,
) -> Call[models.ActiveAccounts]:
    return Call(
        "metrics_active_accounts",
        {
            "since": arg.optional_time("since", since),
            "until": arg.optional_time("until", until),
            "bucket": arg.text("bucket", bucket),
            "time_zone": arg.text("time_zone", time_zone),
            "plan": arg.optional_text("plan", plan),
            "credit_type": arg.optional_text("credit_type", credit_type),
            "include_test": arg.boolean("include_test", include_test),
            "raw": arg.boolean("raw", raw),
        },
        partial(parse, models.ActiveAccounts),
        repeatable=True,
    )


def metrics_liability(
    *,
    since: datetime | None,
    until: datetime | None,
    bucket: str,
    time_zone: str,
    credit_type: str | None,
    include_test: bool,
    raw: bool,
) -> Call[models.Liability]:
    return Call(
        "metrics_liability",
        {
            "since": arg.optional_time("since", since),
            "until": arg.optional_time("until", until),
            "bucket": arg.text("bucket", bucket),
            "time_zone": arg.text("time_zone", time_zone),
            "credit_type": arg.optional_text("credit_type", credit_type),
            "include_test": arg.boolean("include_test", include_test),
            "raw": arg.boolean("raw", raw),
        },
        partial(parse, models.Liability),
        repeatable=True,
    )


def metrics_health() -> Call[models.Health]:
    return Call("metrics_health", {}, partial(parse, models.Health), repeatable=True)


def roll_up_metrics(limit: int) -> Call[models.RollUp]:
    return Call(
        "roll_up_metrics", {"limit": arg.integer("limit", limit)}, partial(parse, models.RollUp), repeatable=True
    )


def track_metadata_key(metadata_key: str, *, tracked: bool) -> Call[models.TrackedKeys]:
    return Call(
        "track_metadata_key",
        {"metadata_key": arg.text("metadata_key", metadata_key), "tracked": arg.boolean("tracked", tracked)},
        partial(parse, models.TrackedKeys),
        repeatable=True,
    )
