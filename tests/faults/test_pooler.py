"""pgbouncer in transaction mode, as Supabase's own pooler: every statement may meet another server process."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from sonas_supabase import AsyncCreditsClient, CreditsClient
from sonas_supabase.local import PASSWORD, Keys, PostgREST, free_port
from sonas_supabase.notify import Worker, WorkerSettings
from tests.faults.checker import check
from tests.faults.conftest import Victim
from tests.faults.load import Load
from tests.messages.support import add_webhook
from tests.notify.receivers import http_receiver
from tests.support.parts import require

pytestmark = pytest.mark.needs("pgbouncer")


@contextmanager
def pooler(victim: Victim, *, user: str) -> Iterator[str]:
    """The URL of a pooler with three server connections, all logged in as `user`."""
    binary = require("pgbouncer")
    port = free_port()
    folder = victim.cluster.directory
    settings = folder / f"pgbouncer-{user}.ini"
    settings.write_text(
        f"""[databases]
postgres = host=127.0.0.1 port={victim.cluster.port} dbname=postgres user={user} password={PASSWORD}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
logfile = {folder / f"pgbouncer-{user}.log"}
"""
    )
    account = pwd.getpwnam(victim.cluster.runs_as)
    os.chown(folder, account.pw_uid, account.pw_gid)
    as_other: dict[str, Any] = (
        {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    )
    with subprocess.Popen(
        [str(binary), "--quiet", str(settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        **as_other,
    ) as process:
        try:
            _wait_for(port, process)
            yield f"postgresql://{user}@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"pgbouncer does not answer: {process.poll()}")


def test_a_load_through_a_transaction_mode_pooler(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int
) -> None:
    with new_victim() as victim, pooler(victim, user="postgres") as url:
        accounts = victim.accounts(12)

        def connect() -> psycopg.Connection[Any]:
            return psycopg.connect(url, autocommit=True, prepare_threshold=None)

        with Load(connect, accounts, seed=seed, clients=8) as load:
            load.wait_for(400)
        assert check(load.journal, victim.url) == []
        record("pgbouncer in transaction mode", "3 server connections for 8 clients", load.journal)


def test_clients_and_workers_work_through_a_transaction_mode_pooler(new_victim: Callable[..., Any]) -> None:
    with new_victim() as victim, pooler(victim, user="postgres") as url, http_receiver() as receiver:
        user = victim.database.new_user()
        add_webhook(victim.database, user, receiver.url())
        with CreditsClient.from_url(url, pool_size=5) as credits, ThreadPoolExecutor(5) as threads:
            spent = list(threads.map(lambda _: credits.consume_credits(user, "message", 1), range(10)))
        assert sorted(answer.remaining or 0 for answer in spent) == list(range(10))

        async def work() -> None:
            settings = WorkerSettings(allow_private=True)
            async with AsyncCreditsClient.from_url(url, pool_size=3) as credits:
                await asyncio.gather(*(Worker(credits, settings).run_once() for _ in range(4)))

        asyncio.run(work())
        written = victim.database.query("select id::text from credits.outbox order by n")
        assert [got.id for got in receiver.got["/hook"]] == [message for (message,) in written]
        assert len(written) == 3


@pytest.mark.needs("postgrest")
def test_identities_do_not_leak_between_those_who_share_a_connection(
    new_victim: Callable[..., Any], tmp_path: Path
) -> None:
    keys = Keys.make()
    with new_victim() as victim, pooler(victim, user="authenticator") as url:
        users = [victim.database.new_user() for _ in range(6)]
        postgrest = PostgREST(
            require("postgrest"),
            database_url=url,
            jwt_secret=keys.jwt_secret,
            log=tmp_path / "postgrest.log",
            # What a pooler in transaction mode asks of PostgREST: no statement is prepared, no channel is listened to.
            settings={"PGRST_DB_PREPARED_STATEMENTS": "false", "PGRST_DB_CHANNEL_ENABLED": "false"},
        )
        postgrest.start()
        try:
            started = threading.Barrier(len(users))

            def read(user: UUID) -> set[str]:
                token = keys.token(role="authenticated", user_id=str(user))
                seen = set()
                with httpx.Client(base_url=postgrest.url, headers={"authorization": f"Bearer {token}"}) as client:
                    started.wait(30)
                    for _ in range(40):
                        seen.add(client.post("/rpc/get_credit_summary", json={}).json()["user_id"])
                        seen |= {row["account_id"] for row in client.get("/credit_balances").json()}
                        # A refusal leaves nothing behind for whoever comes next, its status neither.
                        assert client.post("/rpc/consume_credits", json={"p_user_id": str(user)}).status_code in (
                            401,
                            403,
                            404,
                        )
                return seen

            with ThreadPoolExecutor(len(users)) as threads:
                for user, seen in zip(users, threads.map(read, users), strict=True):
                    assert seen == {str(user)}
        finally:
            postgrest.stop()
