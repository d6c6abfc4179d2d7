"""Many at once: eight resetters and sweepers, and the migrations applied by several."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg

from sonas_supabase import local, migrations
from tests.faults.checker import check
from tests.faults.load import Load
from tests.support.database import call


def test_eight_resetters_renew_each_account_once(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int
) -> None:
    with new_victim() as victim:
        accounts = victim.accounts(30)
        for account in accounts:
            victim.database.call("mark_test_account", account)
        barrier = threading.Barrier(8)

        def sweep(_: int) -> int:
            with victim.connect() as connection:
                renewed = 0
                for _month in range(3):
                    barrier.wait(60)
                    while count := call(connection, "reset_monthly_credits")["accounts"]:
                        renewed += count
                    barrier.wait(60)
                return renewed

        start = datetime.now(UTC)
        with ThreadPoolExecutor(9) as pool, Load(victim.connect, accounts[:10], seed=seed, clients=2) as load:
            sweepers = [pool.submit(sweep, number) for number in range(7)]
            with victim.connect() as connection:
                for month in range(1, 4):
                    for account in accounts[10:]:
                        call(connection, "set_test_clock", account, start + timedelta(days=40 * month))
                    barrier.wait(60)
                    while call(connection, "reset_monthly_credits")["accounts"]:
                        pass
                    barrier.wait(60)
            renewed = sum(sweeper.result(60) for sweeper in sweepers)
        assert renewed > 0
        assert check(load.journal, victim.url) == []
        record("eight resetters at once", f"{renewed} renewals by seven of them", load.journal)
        # A sign-up and three renewals, for each account that only the sweepers touched.
        allowances = victim.database.query(
            "select account_id, credit_type, count(*) from public.credit_grants where source = 'plan'"
            " and credit_type = 'message' and account_id = any(%s) group by 1, 2",
            accounts[15:],
        )
        assert {count for _, _, count in allowances} == {4}


def test_migrations_applied_by_several_at_once_are_applied_once(new_victim: Callable[..., Any]) -> None:
    with new_victim() as victim:
        name = f"empty_{uuid4().hex[:8]}"
        with psycopg.connect(victim.cluster.url(user=local.SUPERUSER), autocommit=True) as connection:
            connection.execute(f"create database {name}".encode())
        local.shape(victim.cluster.url(name, user=local.SUPERUSER))
        with ThreadPoolExecutor(5) as pool:
            done = list(pool.map(local.migrate, [victim.cluster.url(name)] * 5))
        assert sorted(version for versions in done for version in versions) == [
            migration.version for migration in migrations.migrations()
        ]


def test_migrations_applied_again_under_load_change_nothing(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int
) -> None:
    with new_victim() as victim:
        accounts = victim.accounts(6)
        with Load(victim.connect, accounts, seed=seed, clients=4) as load:
            for _ in range(5):
                load.wait_for(20)
                assert local.migrate(victim.url) == []
        assert check(load.journal, victim.url) == []
        record("migrations applied again under load", "5 times", load.journal)
