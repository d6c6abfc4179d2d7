"""Spends that were allowed while the database could not be reached, kept on disk until they are charged."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sonas_supabase import AsyncCreditsClient, CreditsError, CreditsUnavailable, NotConfigured
from sonas_supabase.fastapi._books import Refund, book
from sonas_supabase.fastapi._spend_request import SpendRequest
from sonas_supabase.observe import tell_uncollected

T = TypeVar("T")

_log = logging.getLogger("sonas_supabase")
_MOST_REFUSALS = 10
_PATIENCE = 30.0
_TABLE = """
create table if not exists spends (
  id text primary key,
  user_id text not null,
  at text not null,
  credits integer not null,
  request text not null,
  state text not null check (state in ('running', 'waiting', 'dead')),
  refusals integer not null default 0,
  refused_because text
) strict
"""


# A worker that was killed leaves its requests running. They count as long as a hold would have lived.
_DROP_KILLED = """
delete from spends
where state = 'running' and julianday(at) + coalesce(
  case when json_valid(request) then json_extract(request, '$.ttl_seconds') end, 0) / 86400.0 < julianday('now')
"""
_BY_KEY = """
select 1 from spends
where user_id = ? and case when json_valid(request) then json_extract(request, '$.key') = ? end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A spend that is not tried any more: refused too often, or unreadable. ``request`` is as it was kept.

    ``credits`` is below zero for credits that were to be given back.
    """

    id: str
    user_id: str
    credits: int
    reason: str
    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a replay did: spends it ``booked``, and why the others still wait (an error's slug, and how many).

    ``dead`` are those that it has given up.
    """

    booked: int
    waiting: dict[str, int]
    dead: tuple[DeadLetter, ...] = field(default=())


class Journal:
    """A file that the worker processes of one machine may share: an SQLite database.

    Put it on a local disk that survives a restart. A spend is on the disk before the request ends.

    Args:
        path: the file; made when it is first needed, readable by its owner alone.
        most_per_user: credits that one user may be served while nothing can be held; past that the answer is 503.
    """

    def __init__(self, path: str | os.PathLike[str], *, most_per_user: int = 100) -> None:
        self._path = Path(path)
        self._most_per_user = most_per_user

    async def append(self, request: SpendRequest, cost: int) -> None:
        """Keep a spend that is to be charged."""
        await self._do(lambda file: _put(file, request, cost, "waiting"))

    async def append_refund(self, refund: Refund) -> None:
        """Keep credits that are to be given back."""
        await self._do(lambda file: _put(file, refund.request, -refund.credits, "waiting", refund=refund))

    async def open(self, request: SpendRequest) -> str | None:
        """Let a request in that nothing is held for; None when its user has had enough of that."""
        return await self._do(lambda file: self._open(file, request))

    def _open(self, file: sqlite3.Connection, request: SpendRequest) -> str | None:
        file.execute(_DROP_KILLED)
        [(unheld,)] = file.execute(
            "select coalesce(sum(max(credits, 0)), 0) from spends where user_id = ? and state <> 'dead'",
            (str(request.user_id),),
        )
        if unheld + request.amount > self._most_per_user:
            return None
        return _put(file, request, request.amount, "running")

    async def settle(self, entry: str, request: SpendRequest, cost: int) -> None:
        """Say what a request that was let in has cost; nothing takes it out."""
        if cost:
            # It is there no more if it has been at work for so long that it was taken for killed.
            await self._do(lambda file: _put(file, request, cost, "waiting", entry=entry))
        else:
            await self._do(lambda file: file.execute("delete from spends where id = ?", (entry,)))

    async def holds(self, user_id: UUID, key: str) -> bool:
        """Whether a spend with this key waits."""
        if not self._path.exists():
            return False
        return await self._do(lambda file: file.execute(_BY_KEY, (str(user_id), key)).fetchone()) is not None

    async def pending(self) -> int:
        """How many spends wait to be charged."""
        if not self._path.exists():
            return 0
        waiting = "select count(*) from spends where state = 'waiting'"
        return int(await self._do(lambda file: file.execute(waiting).fetchone()[0]))

    async def dead_letters(self) -> list[DeadLetter]:
        """Spends that were given up, the oldest first."""
        query = "select id, user_id, credits, refused_because, request from spends where state = 'dead' order by at"
        rows = await self._do(lambda file: file.execute(query).fetchall()) if self._path.exists() else []
        return [
            DeadLetter(id=row[0], user_id=row[1], credits=row[2], reason=row[3] or "", request=row[4]) for row in rows
        ]

    async def revive(self) -> int:
        """Let dead letters be tried again, once what refused them is mended. How many."""
        revive = "update spends set state = 'waiting', refusals = 0 where state = 'dead'"
        return int((await self._do(lambda file: file.execute(revive))).rowcount) if self._path.exists() else 0

    async def replay(self, client: AsyncCreditsClient) -> Replay:
        """Charge what waits, each spend once, however often and from wherever this is called.

        A spend that is refused (the account cannot pay it, or is gone) stays and is tried again next time; after ten
        refusals it is a dead letter, as is one that cannot be read. Stops at once when the database cannot be reached.
        """
        booked = 0
        waiting: dict[str, int] = {}
        dead: list[DeadLetter] = []
        query = "select id, credits, request from spends where state = 'waiting' order by at"
        entries = await self._do(lambda file: file.execute(query).fetchall()) if self._path.exists() else []
        for done, (entry, cost, request) in enumerate(entries):
            try:
                kept = _readable(request)
                if isinstance(kept, Refund):
                    await kept.do(client)
                else:
                    await book(client, kept, cost, all_or_nothing=True)
            except CreditsUnavailable:
                waiting[CreditsUnavailable.code] = len(entries) - done
                break
            except (CreditsError, _UnreadableError) as error:
                at_once = isinstance(error, _UnreadableError)
                letter = await self._refused(entry, str(getattr(error, "code", error)), at_once=at_once)
                if letter is not None:
                    _log.error("%s is given up in %s: %s", entry, self._path, error)
                    dead.append(letter)
                    await _put_on_record(client, letter)
                else:
                    _log.warning("%s still waits in %s: %s", entry, self._path, error)
                    code = str(getattr(error, "code", "unreadable"))
                    waiting[code] = waiting.get(code, 0) + 1
            else:
                await self._take_out(entry)
                booked += 1
        return Replay(booked=booked, waiting=waiting, dead=tuple(dead))

    async def _take_out(self, entry: str) -> None:
        await self._do(lambda file: file.execute("delete from spends where id = ?", (entry,)))

    async def _refused(self, entry: str, reason: str, *, at_once: bool) -> DeadLetter | None:
        def refuse(file: sqlite3.Connection) -> tuple[Any, ...] | None:
            most = 0 if at_once else _MOST_REFUSALS
            file.execute(
                "update spends set refusals = refusals + 1, refused_because = ?, "
                "state = case when refusals + 1 >= ? then 'dead' else state end where id = ?",
                (reason, most, entry),
            )
            row: tuple[Any, ...] | None = file.execute(
                "select user_id, credits, request from spends where id = ? and state = 'dead'", (entry,)
            ).fetchone()
            return row

        row = await self._do(refuse)
        if row is None:
            return None
        return DeadLetter(id=entry, user_id=row[0], credits=row[1], reason=reason, request=row[2])

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._transaction, work)

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._opened() as file:
            file.execute("begin immediate")
            try:
                done = work(file)
            except BaseException:
                file.execute("rollback")
                raise
            file.execute("commit")
            return done

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        # The file says who spends what, and to write in it is to charge them.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        file = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None)
        try:
            file.execute("pragma synchronous = full")
            file.execute(_TABLE)
            yield file
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise OSError(f"{self._path}: {error}") from error
            raise NotConfigured(f"{self._path} is no journal: {error}", hint="Name a file of its own.") from error
        finally:
            file.close()


class _UnreadableError(Exception):
    """An entry is not what was kept."""


async def _put_on_record(client: AsyncCreditsClient, letter: DeadLetter) -> None:
    """Show the seller a spend that was given up. One that is revived and charged later is theirs to resolve."""
    try:
        kept = _readable(letter.request)
        request = kept.request if isinstance(kept, Refund) else kept
        if not isinstance(kept, Refund):
            tell_uncollected(request.credit_type, letter.credits, letter.reason)
        await client.record_uncollected(
            request.user_id,
            request.credit_type,
            abs(letter.credits),
            letter.reason,
            description=request.description,
            idempotency_key=request.key,
            kind="refund" if isinstance(kept, Refund) else "charge",
            workspace_id=request.workspace_id,
        )
    except (CreditsError, _UnreadableError) as error:
        _log.error("%s is not on record in the database: %s", letter, error)


def _put(
    file: sqlite3.Connection,
    request: SpendRequest,
    cost: int,
    state: str,
    *,
    refund: Refund | None = None,
    entry: str | None = None,
) -> str:
    entry, at = entry or str(uuid4()), datetime.now(UTC).isoformat()
    kept = request.to_json()
    if refund is not None:
        # What is owed to the user is kept below zero.
        kept["refund"] = {
            "operation_id": str(refund.operation_id),
            "credits": refund.credits,
            "reason": refund.reason,
            "is_all": refund.is_all,
        }
    row = (entry, str(request.user_id), at, cost, json.dumps(kept), state)
    file.execute(
        "insert or replace into spends (id, user_id, at, credits, request, state) values (?, ?, ?, ?, ?, ?)", row
    )
    return entry


def _readable(kept: str) -> SpendRequest | Refund:
    try:
        values = dict(json.loads(kept))
        refund = values.pop("refund", None)
        read = SpendRequest.from_json(values)
        if refund is not None:
            return Refund(
                read,
                UUID(refund["operation_id"]),
                int(refund["credits"]),
                str(refund["reason"]),
                bool(refund.get("is_all")),
            )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _UnreadableError("unreadable") from error
    if not isinstance(read.user_id, UUID):
        raise _UnreadableError("unreadable")
    return read
