"""`/metrics` with several workers and with the async client: whichever answers, it answers for all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.local import free_port
from sonas_supabase.metrics import metrics_app
from tests.support.database import Database

ROOT = Path(__file__).resolve().parents[2]


def samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("function", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_async_client_answers_and_says_when_it_cannot(database: Database, user: UUID) -> None:
    async with AsyncCreditsClient.from_url(database.url) as client:
        app = metrics_app(client)
        await client.consume_credits(user, "message")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
            found = samples((await http.get("/metrics")).text)
    assert (found["sonas_up", ""], found["sonas_calls_total", "consume_credits"]) == (1, 1)
    async with AsyncCreditsClient.from_url("postgresql://nobody@127.0.0.1:1/none", timeout=0.2, retries=0) as away:
        transport = httpx.ASGITransport(metrics_app(away))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
            assert samples((await http.get("/metrics")).text)["sonas_up", ""] == 0


@pytest.fixture
def two_workers(database: Database, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    environment = {**os.environ, "DATABASE_URL": database.url, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "uvicorn", "--workers", "2", "--log-level", "critical", "--port", str(port)]
    server = subprocess.Popen([*command, "tests.metrics.worker_app:app"], cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with suppress(httpx.TransportError):
                httpx.get(f"{url}/pid")
                break
            with suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"the server has ended: {server.wait(0.1)}")
        yield url
    finally:
        server.terminate()
        server.wait(20)


def test_two_workers_count_as_one(two_workers: str, database: Database, user: UUID) -> None:
    database.call("grant_credits", user, "message", 1000)
    pids: set[int] = set()
    spent = 0
    while len(pids) < 2:
        assert spent < 500, "one worker gets all of it"
        pids.add(httpx.post(f"{two_workers}/spend/{user}").json())
        spent += 1
    for _ in range(10):
        found = samples(httpx.get(f"{two_workers}/metrics").text)
        assert found["sonas_calls_total", "consume_credits"] == spent
        assert found["sonas_up", ""] == 1
