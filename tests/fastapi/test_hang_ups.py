"""Many requests with hang-ups, repeats and killed servers: what ran is what was charged, to the credit.

1,000 requests; `SONAS_HANG_UPS=100000 pytest tests/fastapi/test_hang_ups.py` makes more.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import pytest

from sonas_supabase.local import free_port
from tests.fastapi.support import KEYS, bearer
from tests.support.database import Database

ROOT = Path(__file__).resolve().parents[2]
REQUESTS = int(os.environ.get("SONAS_HANG_UPS", "1000"))
ROUND = 250
AT_ONCE = 25
AMOUNT = 3


@dataclass
class Wanted:
    """A request as a client means it."""

    chance: random.Random
    user: UUID
    id: str = field(default_factory=lambda: uuid4().hex)

    def __post_init__(self) -> None:
        self.mode = self.chance.choice(["held", "cost", "on_start"])
        self.kind = self.chance.choice(["serves", "serves", "stream", "stream", "refuses", "fails"])
        self.cost = self.chance.choice([None, 0, 1, 2, 3, 4])
        self.hangs_up = self.chance.random() < 0.3
        self.repeats = self.chance.choice([0, 0, 1, 3])
        self.seconds = self.chance.choice([0.0, 0.0, 0.01, 0.03])

    @property
    def path(self) -> str:
        query = {"request": self.id, "kind": self.kind, "seconds": self.seconds}
        return f"/{self.mode}?{urlencode(query | ({} if self.cost is None else {'cost': self.cost}))}"

    def charge(self) -> int:
        """Credits, if the handler has run."""
        if self.kind == "fails":
            return 0
        unsaid = {"held": AMOUNT, "cost": 0, "on_start": AMOUNT}[self.mode]
        if self.kind == "refuses" and self.mode == "held":
            unsaid = 0
        return unsaid if self.cost is None else self.cost


class Shop:
    """The server, which can be killed and comes back at the same port."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "--log-level", "critical", "--port", str(self.port)]
        environment = {**os.environ, "DATABASE_URL": self.database.url, "SUPABASE_JWT_SECRET": KEYS.jwt_secret}
        self.process = await asyncio.create_subprocess_exec(
            *command, "tests.fastapi.hang_ups_app:app", cwd=ROOT, env=environment
        )
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as client:
            for _ in range(600):
                with suppress(httpx.TransportError):
                    await client.get("/up")
                    return
                assert self.process.returncode is None
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()
        # As if the time had passed that a claim lasts.
        self.database.run(
            "update credits.stored_answers set claimed_until = clock_timestamp() where claimed_until is not null"
        )

    async def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        await self.process.wait()


@asynccontextmanager
async def calling(shop: Shop) -> AsyncIterator[Client]:
    """A client for a round. What is given up while it waits in httpx's own queue would block a place there."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{shop.port}", limits=limits, timeout=30) as http:
        yield Client(http, asyncio.Semaphore(AT_ONCE))


@dataclass(frozen=True)
class Client:
    """So many requests at once."""

    http: httpx.AsyncClient
    places: asyncio.Semaphore

    async def post(self, path: str, headers: dict[str, str]) -> httpx.Response:
        async with self.places:
            return await self.http.post(path, headers=headers)


async def send(client: Client, wanted: Wanted, *, hang_up: bool, key: bool) -> bool:
    """Whether there was an answer: none for a client that hangs up, meets a dead server, or is told to come again."""
    headers = bearer(wanted.user) | ({"idempotency-key": wanted.id} if key else {})
    request = asyncio.create_task(client.post(wanted.path, headers=headers))
    if hang_up:
        await asyncio.sleep(random.random() * 0.05)
        if request.cancel():
            await asyncio.wait([request])
            return False
    try:
        answer = await request
    except httpx.TransportError:
        return False
    return "request_in_progress" not in answer.text and answer.status_code != 503


async def one(client: Client, wanted: Wanted, *, until_answered: bool) -> None:
    """A client that hangs up or not, sends again or not; where servers die, it sends again until it has an answer."""
    key = until_answered or bool(wanted.repeats)
    answered = await send(client, wanted, hang_up=wanted.hangs_up, key=key)
    for _ in range(wanted.repeats):
        answered = await send(client, wanted, hang_up=False, key=True)
    while until_answered and not answered:
        await asyncio.sleep(0.05)
        answered = await send(client, wanted, hang_up=False, key=True)


# The long form takes an hour and more.
@pytest.mark.timeout(240 * max(1, REQUESTS // 1000))
async def test_what_ran_is_what_was_charged(own_database: Database) -> None:
    database = own_database
    database.run("create table public.runs (request text not null, at timestamptz not null default now())")
    database.run("grant select, insert on public.runs to service_role")
    seed = random.SystemRandom().getrandbits(32)
    chance = random.Random(seed)
    users = [database.new_user() for _ in range(10)]
    for user in users:
        database.call("grant_credits", user, "message", 10 * REQUESTS)
    shop, sent = Shop(database), list[Wanted]()
    await shop.start()
    try:
        for number in range(REQUESTS // ROUND):
            kills = number % 4 == 3
            wanted = [Wanted(chance, chance.choice(users)) for _ in range(ROUND)]
            sent += wanted
            async with asyncio.timeout(180), calling(shop) as client:
                work: list[Any] = [one(client, each, until_answered=kills) for each in wanted]
                if kills:
                    work.append(kill_in_the_middle(shop))
                await asyncio.gather(*work)
        await quiet(database)
    finally:
        await shop.stop()
    ran = {row[0] for row in database.query("select distinct request from public.runs")}
    wrong = {}
    for user in users:
        charges = sum(each.charge() for each in sent if each.user == user and each.id in ran)
        used = database.value(
            "select coalesce(-sum(amount), 0) from public.credit_transactions where account_id = %s "
            "and kind in ('consume', 'capture', 'refund')",
            user,
        )
        if used != charges:
            wrong[str(user)] = (int(used), charges)
    assert not wrong, f"used, and what ran, with seed {seed}"
    assert len(ran) > REQUESTS / 2
    assert database.value("select count(*) from credits.uncollected") == 0
    database.verify()


async def kill_in_the_middle(shop: Shop) -> None:
    """Kill the server once some of the round has run, and start it again."""
    for _ in range(2):
        await asyncio.sleep(0.4)
        await shop.kill()
        await shop.start()


async def quiet(database: Database) -> None:
    """Wait until nothing is held any more: requests that were hung up on come to their end, killed ones expire."""
    held = "select coalesce(sum(reserved), 0) from public.credit_balances"
    for _ in range(600):
        if database.value(held) == 0:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("something is held for ever")
