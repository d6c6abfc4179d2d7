"""The worker: finds, routes and delivers messages."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx

from sonas_supabase import AsyncCreditsClient, CreditsError
from sonas_supabase.models.messages import Claim
from sonas_supabase.notify._outcome import Outcome
from sonas_supabase.notify._settings import WorkerSettings
from sonas_supabase.notify._templates import Templates
from sonas_supabase.notify._unsubscribe import PATH
from sonas_supabase.notify._webhooks import WebhookSender, new_client

_logger = logging.getLogger("sonas_supabase")

Task = Callable[[AsyncCreditsClient], Awaitable[Any]]

_POLL = 0.5
_TEND_EVERY = 1.0
_FIND_EVERY = 60.0
_PATIENCE = (1.0, 2.0, 5.0, 15.0, 30.0)


@dataclass(slots=True, kw_only=True)
class Report:
    """What a worker has done since it began."""

    renewed: int = 0
    found: int = 0
    routed: int = 0
    forgotten: int = 0
    delivered: int = 0
    failed: int = 0
    dead: int = 0
    dropped: int = 0
    problems: list[str] = field(default_factory=list)


class Worker:
    """Delivers messages. Any number of them may run at once, and be killed at any moment.

    Args:
        credits: a client with the service role's rights.
        settings: how messages go out.
        concurrency: how many channels are served at once.
        tasks: what else is to be done in each round, such as the work of billing; a failure is logged.
    """

    def __init__(
        self,
        credits: AsyncCreditsClient,
        settings: WorkerSettings,
        *,
        concurrency: int = 100,
        tasks: Sequence[Task] = (),
    ) -> None:
        self.report = Report()
        self._credits = credits
        self._settings = settings
        self._concurrency = concurrency
        self._tasks = tasks
        self._templates = Templates(settings.templates, app_url=settings.app_url)
        self._webhooks = WebhookSender(settings)
        self._kinds = ["webhook"]
        if settings.smtp_url:
            from sonas_supabase.notify._mail import Mailer

            self._mailer = Mailer(settings)
            self._kinds.append("email")
            # Without an address of the app there is nothing to lead to: invitations wait.
            if settings.app_url:
                self._kinds.append("invitation")

    async def run_once(self) -> Report:
        """One pass: what is due by now is tried once; what fails in it waits for the next.

        Raises:
            CreditsError: the database cannot be reached.
        """
        await self._find()
        now = await self._tend()
        async with new_client(self._settings) as client:
            await self._serve(client, due_before=now)
        return self.report

    async def run(self, stop: asyncio.Event) -> Report:
        """Works until `stop` is set, then finishes what it has begun. The database may come and go."""
        failures = 0
        async with new_client(self._settings) as client:
            while not stop.is_set():
                try:
                    await self._serve(client, stop=stop)
                except CreditsError as error:
                    wait = _PATIENCE[min(failures, len(_PATIENCE) - 1)]
                    failures += 1
                    _logger.warning("The worker cannot reach its database, and tries again in %g s: %s", wait, error)
                    await _pause(stop, wait)
                else:
                    failures = 0
        return self.report

    async def _find(self) -> None:
        while True:
            reset = await self._credits.reset_monthly_credits()
            self.report.renewed += reset.accounts or 0
            if not reset.more:
                break
        for task in self._tasks:
            try:
                await task(self._credits)
            except Exception as error:
                self.report.problems.append(f"{type(error).__name__}: {error}"[:300])
                _logger.exception("A task of the worker failed, and is tried again in the next round")
        tended = await self._credits.tend_messages(find=True)
        self.report.found += tended.found

    async def _tend(self) -> datetime:
        while True:
            tended = await self._credits.tend_messages(find=False)
            self.report.routed += tended.routed
            self.report.forgotten += tended.forgotten
            if not tended.more:
                return tended.now

    async def _serve(
        self, client: httpx.AsyncClient, *, due_before: datetime | None = None, stop: asyncio.Event | None = None
    ) -> None:
        """Serves channels, each by a task of its own, so that none waits for another."""
        running: set[asyncio.Task[None]] = set()
        tend_at = find_at = 0.0
        try:
            while stop is None or not stop.is_set():
                if due_before is None and time.monotonic() >= find_at:
                    await self._find()
                    find_at = time.monotonic() + _FIND_EVERY
                if due_before is None and time.monotonic() >= tend_at:
                    await self._tend()
                    tend_at = time.monotonic() + _TEND_EVERY
                claims = await self._claim(self._concurrency - len(running), due_before)
                running |= {asyncio.create_task(self._deliver(client, *claim)) for claim in claims}
                if not claims:
                    if running:
                        _, running = await asyncio.wait(running, timeout=_POLL, return_when=asyncio.FIRST_COMPLETED)
                    elif stop is None:
                        return
                    else:
                        await _pause(stop, _POLL)
                running = {task for task in running if not task.done()}
        finally:
            if running:
                await asyncio.wait(running)

    async def _claim(self, free: int, due_before: datetime | None) -> list[tuple[Any, Claim, float]]:
        if free <= 0:
            return []
        lease_id = uuid4()
        # Counted from before the call, so that the lease ends in the database after it has ended here.
        until = time.monotonic() + self._settings.lease
        found = await self._credits.claim_messages(
            lease_id,
            lease_seconds=self._settings.lease,
            channel_kinds=self._kinds,
            limit=min(free, 100),
            due_before=due_before,
        )
        return [(lease_id, claim, until) for claim in found.claims]

    async def _deliver(self, client: httpx.AsyncClient, lease_id: Any, claim: Claim, until: float) -> None:
        results: list[dict[str, Any]] = []
        try:
            for message in claim.messages:
                if results and time.monotonic() + self._settings.send_timeout > until:
                    break
                outcome = await self._send(client, claim, message)
                results.append(self._result(message, outcome))
                if outcome.state in ("failed", "gone"):
                    break
        finally:
            await self._settle(lease_id, claim, results)

    async def _settle(self, lease_id: Any, claim: Claim, results: list[dict[str, Any]]) -> None:
        try:
            await self._credits.settle_messages(lease_id, claim.account_id, claim.channel, results)
        except CreditsError as error:
            # The lease ends by itself, and the messages are sent again under the same ids.
            _logger.warning("What became of messages could not be written down: %s", error)
        for result in results:
            name = "dead" if result["state"] == "gone" else result["state"]
            setattr(self.report, name, getattr(self.report, name) + 1)

    async def _send(self, client: httpx.AsyncClient, claim: Claim, message: dict[str, Any]) -> Outcome:
        receiver = claim.receiver or {}
        essential = bool(message.get("essential"))
        if not receiver or not (receiver.get("wanted") or (essential and claim.kind == "email")):
            return Outcome("dropped", "nobody wants it any more")
        try:
            if claim.kind == "webhook":
                return await self._webhooks.send(client, str(receiver["url"]), message)
            if not receiver.get("email"):
                return Outcome("dropped", "the person has no e-mail address that is confirmed")
            if claim.kind == "invitation":
                invitation = self._templates.invitation(message, receiver)
                return await self._mailer.send(invitation, str(receiver["email"]), message, None)
            unsubscribe = None
            if self._settings.app_url and not essential:
                unsubscribe = f"{self._settings.app_url}{PATH}?token={receiver['token']}"
            mail = self._templates.mail(message, workspace=receiver.get("workspace"), unsubscribe=unsubscribe)
            return await self._mailer.send(mail, str(receiver["email"]), message, unsubscribe)
        except Exception as error:
            # A template of the project's own may be wrong: this channel waits, the others go on.
            _logger.exception("A message could not be made")
            return Outcome.failed(f"{type(error).__name__}: {error}"[:300])

    def _result(self, message: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
        result: dict[str, Any] = {"n": message["n"], "state": outcome.state, "error": outcome.error}
        if outcome.state == "failed":
            attempts = int(message["attempts"])
            if attempts < len(self._settings.backoff):
                result["retry_seconds"] = self._settings.backoff[attempts]
            else:
                result["state"] = "dead"
        return result


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
