"""A worker that is killed in the middle of a request costs nobody a credit."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import httpx

from sonas_supabase.local import free_port
from tests.fastapi.support import KEYS, bearer, until
from tests.support.database import Database

ROOT = Path(__file__).resolve().parents[2]


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/nothing-there").status_code == 404
    return False


async def test_a_killed_worker_costs_nothing(database: Database, user: UUID) -> None:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.fastapi.killed_app:app", "--port", str(port)]
    environment = {**os.environ, "DATABASE_URL": database.url, "SUPABASE_JWT_SECRET": KEYS.jwt_secret}
    quiet = asyncio.subprocess.DEVNULL
    worker = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    try:
        await until(lambda: answers(f"http://127.0.0.1:{port}"), seconds=30)
        async with httpx.AsyncClient() as client:
            held: list[int] = []

            async def kill_when_held() -> None:
                await until(lambda: database.balance(user)["reserved"] == 4)
                held.append(database.balance(user)["remaining"])
                worker.send_signal(signal.SIGKILL)

            request = client.post(f"http://127.0.0.1:{port}/work", headers=bearer(user), timeout=30)
            results = await asyncio.gather(request, kill_when_held(), return_exceptions=True)
        assert isinstance(results[0], httpx.TransportError)
        assert held == [6]
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.wait()
    await until(lambda: database.balance(user)["remaining"] == 10)
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (0, 0)
    database.verify(user)
