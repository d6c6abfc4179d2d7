"""The calls that show whether the business works."""

from __future__ import annotations

from datetime import datetime

from sonas_supabase import _metrics_calls
from sonas_supabase._async.caller import AsyncCaller
from sonas_supabase.metric_models import (
    ActiveAccounts,
    Breakage,
    Consumption,
    Conversion,
    Exhaustion,
    Health,
    Liability,
    RollUp,
    TrackedKeys,
    Usage,
)


class AsyncMetrics(AsyncCaller):
    """Figures over any window, in any bucket. Without ``since`` and ``until``: the last 90 days.

    ``bucket`` is ``all``, ``hour``, ``day``, ``week``, ``month``, ``quarter``, ``year``, or a duration such as
    ``6 hours``, in ``time_zone``. Test accounts count with ``include_test`` alone. ``raw`` reads the ledger itself
    instead of its rollups: the same figures, slower. All raise InvalidArgument for what they cannot use.
    """

    async def metrics_consumption(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: str = "day",
        time_zone: str = "UTC",
        plan: str | None = None,
        credit_type: str | None = None,
        include_test: bool = False,
        raw: bool = False,
    ) -> Consumption:
        """Spent against granted, per bucket, plan and credit type. SQL: ``metrics_consumption``."""
        return await self._call(
            _metrics_calls.metrics_consumption(
                since=since,
                until=until,
                bucket=bucket,
                time_zone=time_zone,
                plan=plan,
                credit_type=credit_type,
                include_test=include_test,
                raw=raw,
            )
        )

    async def metrics_conversion(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: str = "day",
        time_zone: str = "UTC",
        include_test: bool = False,
        raw: bool = False,
    ) -> Conversion:
        """From free to paid, also soon after a denial or after 80 % were spent. SQL: ``metrics_conversion``."""
        return await self._call(
            _metrics_calls.metrics_conversion(
                since=since,
                until=until,
                bucket=bucket,
                time_zone=time_zone,
                include_test=include_test,
                raw=raw,
            )
        )

    async def metrics_usage(
        self,
        *,
        by: str = "plan",
        metadata_key: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: str = "all",
        time_zone: str = "UTC",
        plan: str | None = None,
        credit_type: str | None = None,
        limit: int = 20,
        include_test: bool = False,
        raw: bool = False,
    ) -> Usage:
        """Spent by plan, credit_type, source, weekday, hour, cohort, account or metadata. SQL: ``metrics_usage``."""
        return await self._call(
            _metrics_calls.metrics_usage(
                by=by,
                metadata_key=metadata_key,
                since=since,
                until=until,
                bucket=bucket,
                time_zone=time_zone,
                plan=plan,
                credit_type=credit_type,
                limit=limit,
                include_test=include_test,
                raw=raw,
            )
        )

    async def metrics_exhaustion(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: str = "all",
        time_zone: str = "UTC",
        plan: str | None = None,
        credit_type: str | None = None,
        include_test: bool = False,
        raw: bool = False,
    ) -> Exhaustion:
        """Account-periods that ran dry, and on which day; first denial to upgrade. SQL: ``metrics_exhaustion``."""
        return await self._call(
            _metrics_calls.metrics_exhaustion(
                since=since,
                until=until,
                bucket=bucket,
                time_zone=time_zone,
                plan=plan,
                credit_type=credit_type,
                include_test=include_test,
                raw=raw,
            )
        )

    async def metrics_breakage(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: str = "all",
        time_zone: str = "UTC",
        plan: str | None = None,
        credit_type: str | None = None,
        include_test: bool = False,
        raw: bool = False,
    ) -> Breakage:
        """Credits that expired or were voided unspent, by the source of their grant. SQL: ``metrics_breakage``."""
        return await self._call(
            _metrics_calls.metrics_breakage(
                since=since,
                until=until,
                bucket=bucket,
                time_zone=time_zone,
                plan=plan,
                credit_type=credit_type,
                include_test=include_test,
                raw=raw,
            )
        )

    async def metrics_active_accounts(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: str = "day",
        time_zone: str = "UTC",
        plan: str | None = None,
        credit_type: str | None = None,
        include_test: bool = False,
        raw: bool = False,
    ) -> ActiveAccounts:
        """Accounts that spent at least once, opened and closed ones, per bucket. SQL: ``metrics_active_accounts``."""
        return await self._call(
            _metrics_calls.metrics_active_accounts(
                since=since,
                until=until,
                bucket=bucket,
                time_zone=time_zone,
                plan=plan,
                credit_type=credit_type,
                include_test=include_test,
                raw=raw,
            )
        )

    async def metrics_liability(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: str = "day",
        time_zone: str = "UTC",
        credit_type: str | None = None,
        include_test: bool = False,
        raw: bool = False,
    ) -> Liability:
        """Credits owed at the end of each bucket, and now. SQL: ``metrics_liability``."""
        return await self._call(
            _metrics_calls.metrics_liability(
                since=since,
                until=until,
                bucket=bucket,
                time_zone=time_zone,
                credit_type=credit_type,
                include_test=include_test,
                raw=raw,
            )
        )

    async def metrics_health(self) -> Health:
        """Renewal lag, holds, what the rollups have not read, the last five minutes. SQL: ``metrics_health``."""
        return await self._call(_metrics_calls.metrics_health())

    async def roll_up_metrics(self, limit: int = 1000) -> RollUp:
        """Bring the sums that metrics read up to date. Repeat it until ``finished``. SQL: ``roll_up_metrics``."""
        return await self._call(_metrics_calls.roll_up_metrics(limit))

    async def track_metadata_key(self, metadata_key: str, *, tracked: bool = True) -> TrackedKeys:
        """Roll a key of metadata up, so that usage by it is fast, or no longer. SQL: ``track_metadata_key``."""
        return await self._call(_metrics_calls.track_metadata_key(metadata_key, tracked=tracked))
