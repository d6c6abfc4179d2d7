"""The calls that change what an account may do: grants, plans, periods, freezing, test clocks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sonas_supabase import _account_calls, _calls
from sonas_supabase._async.caller import AsyncCaller
from sonas_supabase._calls import Id
from sonas_supabase.models import Clock, Grant, PlanChange, Reset, StatusChange, TimeZoneChange


class AsyncAccounts(AsyncCaller):
    """Give credits, change plans, freeze and unfreeze."""

    async def grant_credits(
        self,
        user_id: Id,
        credit_type: str,
        amount: int,
        *,
        source: str = "promotion",
        description: str | None = None,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        workspace_id: Id | None = None,
    ) -> Grant:
        """Give ``amount`` credits beside the allowance, until ``expires_at`` (None: for ever). SQL: ``grant_credits``.

        ``source`` is rollover, trial, promotion, compensation, top_up or goodwill, and decides the order of spending.

        Raises:
            InvalidArgument: another source, or an ``expires_at`` that is past or for a limit.
            IdempotencyConflict: the key belongs to another request.
            AccountNotFound, UnknownCreditType, InvalidAmount.
        """
        return await self._call(
            _calls.grant_credits(
                user_id,
                credit_type,
                amount,
                source=source,
                description=description,
                expires_at=expires_at,
                idempotency_key=idempotency_key,
                metadata=metadata,
                workspace_id=workspace_id,
            )
        )

    async def revoke_grant(
        self,
        user_id: Id,
        grant_id: Id,
        *,
        reason: str | None = None,
        workspace_id: Id | None = None,
    ) -> Grant:
        """Take back what a grant has left; ``amount`` says how much that was. SQL: ``revoke_grant``.

        What was spent stays spent. A second time changes nothing and answers ``replayed``.

        Raises:
            InvalidArgument: the account has no such grant.
        """
        return await self._call(_calls.revoke_grant(user_id, grant_id, reason=reason, workspace_id=workspace_id))

    async def reset_monthly_credits(self, user_id: Id | None = None) -> Reset:
        """Restart a person's allowance now, period unchanged. SQL: ``reset_monthly_credits``.

        Without a user: renew every account that has fallen due, and answer how many ``accounts``. A call ends after
        about five seconds; repeat it while it answers more than 0. Restarting one person's allowance is never
        repeated by itself when the connection breaks.

        Raises:
            AccountNotFound: there is no such user.
        """
        return await self._call(_account_calls.reset_monthly_credits(user_id))

    async def change_plan(
        self,
        user_id: Id,
        plan_id: str,
        *,
        effective: str = "now",
        idempotency_key: str | None = None,
        workspace_id: Id | None = None,
    ) -> PlanChange:
        """Move an account to another plan: ``"now"``, or at the ``"period_end"``. SQL: ``change_plan``.

        Nothing is clawed back. Asking for the plan it is on takes a pending change back.

        Raises:
            InvalidArgument: no such plan, or another ``effective``.
            IdempotencyConflict: the key belongs to another request.
            AccountNotFound.
        """
        return await self._call(
            _account_calls.change_plan(
                user_id, plan_id, effective=effective, idempotency_key=idempotency_key, workspace_id=workspace_id
            )
        )

    async def set_subscription_status(
        self, user_id: Id, status: str, *, workspace_id: Id | None = None
    ) -> StatusChange:
        """Record whether the subscription is paid for. SQL: ``set_subscription_status``.

        ``status`` is active, trialing, past_due or canceled.

        Raises:
            InvalidArgument: another status.
            AccountNotFound.
        """
        return await self._call(_account_calls.set_subscription_status(user_id, status, workspace_id=workspace_id))

    async def set_time_zone(self, user_id: Id, time_zone: str, *, workspace_id: Id | None = None) -> TimeZoneChange:
        """Set the wall clock that later periods follow, such as ``Europe/Paris``. SQL: ``set_time_zone``.

        Raises:
            InvalidArgument: not a name of the IANA time zone database.
            AccountNotFound.
        """
        return await self._call(_account_calls.set_time_zone(user_id, time_zone, workspace_id=workspace_id))

    async def freeze_account(
        self, user_id: Id, *, reason: str | None = None, workspace_id: Id | None = None
    ) -> StatusChange:
        """Stop all spending until :meth:`unfreeze_account`. SQL: ``freeze_account``.

        Raises:
            AccountNotFound.
        """
        return await self._call(_account_calls.freeze_account(user_id, reason=reason, workspace_id=workspace_id))

    async def unfreeze_account(
        self, user_id: Id, *, reason: str | None = None, workspace_id: Id | None = None
    ) -> StatusChange:
        """Allow a frozen account to spend again. SQL: ``unfreeze_account``.

        Raises:
            AccountNotFound.
        """
        return await self._call(_account_calls.unfreeze_account(user_id, reason=reason, workspace_id=workspace_id))

    async def mark_test_account(self, user_id: Id, *, workspace_id: Id | None = None) -> Clock:
        """Make an account a test account, which it stays. SQL: ``mark_test_account``.

        Raises:
            AccountNotFound.
        """
        return await self._call(_account_calls.mark_test_account(user_id, workspace_id=workspace_id))

    async def set_test_clock(self, user_id: Id, now: datetime, *, workspace_id: Id | None = None) -> Clock:
        """Set the time of a test account, forwards only; every rule follows it. SQL: ``set_test_clock``.

        Raises:
            NotATestAccount: the account is not marked.
            InvalidArgument: the time is not aware, or earlier than the account's.
            AccountNotFound.
        """
        return await self._call(_account_calls.set_test_clock(user_id, now, workspace_id=workspace_id))
