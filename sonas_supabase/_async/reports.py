"""The calls that only look."""

from __future__ import annotations

from datetime import datetime

from sonas_supabase import _account_calls
from sonas_supabase._async.caller import AsyncCaller
from sonas_supabase._calls import Id
from sonas_supabase.models import (
    Checklist,
    Diagnosis,
    HistoryEntry,
    Operation,
    Plan,
    Summary,
    SystemStatus,
    Verification,
)


class AsyncReports(AsyncCaller):
    """Look at one account, at the plans, at the whole system."""

    async def get_credit_summary(self, user_id: Id, *, workspace_id: Id | None = None) -> Summary:
        """Plan, period, balances with warnings, open grants. SQL: ``get_credit_summary``.

        Raises:
            AccountNotFound: there is no such user or workspace.
        """
        return await self._call(_account_calls.get_credit_summary(user_id, workspace_id=workspace_id))

    async def explain_operation(self, user_id: Id, operation_id: Id, *, workspace_id: Id | None = None) -> Operation:
        """Which grants an operation touched, its price, the balance before and after. SQL: ``explain_operation``.

        Raises:
            OperationNotFound: the account has no such operation.
            AccountNotFound.
        """
        return await self._call(_account_calls.explain_operation(user_id, operation_id, workspace_id=workspace_id))

    async def get_credit_history(
        self,
        user_id: Id,
        *,
        credit_type: str | None = None,
        limit: int = 50,
        before: datetime | None = None,
        workspace_id: Id | None = None,
    ) -> tuple[HistoryEntry, ...]:
        """The ledger, newest first: 1 to 1000 rows older than ``before``. SQL: ``get_credit_history``.

        Raises:
            InvalidArgument: another ``limit``.
            AccountNotFound, UnknownCreditType.
        """
        return await self._call(
            _account_calls.get_credit_history(
                user_id, credit_type=credit_type, limit=limit, before=before, workspace_id=workspace_id
            )
        )

    async def list_plans(self) -> tuple[Plan, ...]:
        """All plans with their prices and limits, the smallest first. SQL: ``list_plans``."""
        return await self._call(_account_calls.list_plans())

    async def system_status(self) -> SystemStatus:
        """Accounts, what is due, open holds, the size of the ledger. SQL: ``system_status``."""
        return await self._call(_account_calls.system_status())

    async def verify_books(
        self, user_id: Id | None = None, *, workspace_id: Id | None = None, rule: int | None = None
    ) -> Verification:
        """Check the always-true rules, or the one with this number (1 to 8), for one account or for all.

        SQL: ``verify_books``.

        Raises:
            InvalidArgument: another ``rule``.
            AccountNotFound: there is no such account.
        """
        return await self._call(_account_calls.verify_books(user_id, workspace_id=workspace_id, rule=rule))

    async def verify_checklist(self) -> Checklist:
        """Try the guide's checklist with a probe user of whom nothing stays. SQL: ``verify_checklist``."""
        return await self._call(_account_calls.verify_checklist())

    async def diagnose(self) -> Diagnosis:
        """Inspect the database: what was changed, who hands out credits, how it runs. SQL: ``diagnose``."""
        return await self._call(_account_calls.diagnose())
