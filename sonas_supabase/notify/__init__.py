"""Messages out: a worker that delivers what is announced, by mail and to webhooks.

The database writes each message in the transaction of what it tells of; a :class:`Worker` finds what time brings, gives
messages to their channels and delivers them: at least once, in order per account and channel. Any number of workers may
run, on one machine or many, and be killed at any moment. ``sonas worker`` is one.

`router` has the route that the unsubscribe link of a mail leads to, for any FastAPI application. Needs the extra
``worker``.
"""

from __future__ import annotations

from sonas_supabase.notify._settings import WorkerSettings
from sonas_supabase.notify._templates import Mail, Templates
from sonas_supabase.notify._unsubscribe import router
from sonas_supabase.notify._worker import Report, Worker

__all__ = ["Mail", "Report", "Templates", "Worker", "WorkerSettings", "router"]
