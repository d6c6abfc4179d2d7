"""Backends that are ended, statements that are cancelled or time out, locks that are not waited for."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from statistics import median
from typing import Any

import psycopg
import pytest

from tests.faults.checker import check
from tests.faults.load import Load


@pytest.mark.parametrize("how", ["pg_terminate_backend", "pg_cancel_backend"])
def test_ended_and_cancelled_backends_lose_and_double_nothing(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int, long_form: bool, how: str
) -> None:
    pick = random.Random(seed)
    with new_victim() as victim:
        accounts = victim.accounts(12)
        hits = 0
        with Load(victim.connect, accounts, seed=seed, clients=6) as load:
            while hits < (2_000 if long_form else 150):
                load.wait_for(3)
                busy = victim.database.query(
                    "select pid from pg_stat_activity where datname = 'postgres' and pid <> pg_backend_pid()"
                    " and backend_type = 'client backend' and state = 'active'"
                )
                if busy:
                    hits += victim.database.value(f"select {how}(%s)::int", pick.choice(busy)[0])
            load.wait_for(20)
        assert check(load.journal, victim.url) == []
        record(how.replace("_", " ").replace("pg ", "") + " at random", f"{hits} times", load.journal)


def usual_time(victim: Any, seed: int) -> int:
    """The median of an operation under the load of these tests, in milliseconds."""
    with Load(victim.connect, victim.accounts(2), seed=seed, clients=8) as load:
        load.wait_for(400)
    return max(1, round(median(o.acknowledged - o.issued for o in load.journal.operations if o.acknowledged) / 1e6))


@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout"])
def test_timeouts_change_nothing(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int, long_form: bool, setting: str
) -> None:
    timeout = "lock_timeout=1ms"
    if setting == "statement_timeout":
        # About half of the operations are to time out, on a slow machine and on a fast one.
        with new_victim() as victim:
            timeout = f"statement_timeout={usual_time(victim, seed)}ms"
    with new_victim() as victim:
        # One hot account, so that clients wait for each other.
        accounts = victim.accounts(2)

        def connect() -> psycopg.Connection[Any]:
            return psycopg.connect(victim.url, autocommit=True, options=f"-c {timeout}")

        with Load(connect, accounts, seed=seed, clients=8) as load:
            load.wait_for(3_000 if long_form else 400, timeout=120)
        assert check(load.journal, victim.url) == []
        counts = load.journal.counts()
        record(timeout.replace("_", " ").replace("=", " of "), "every statement", load.journal)
        assert counts["sent again"] > 0


def test_without_the_lock_something_is_noticed(new_victim: Callable[..., Any], seed: int) -> None:
    """Negative control: if nobody waits for the balance, two clients write the same version."""
    with new_victim() as victim:
        accounts = victim.accounts(2)
        for (name,) in victim.database.query(
            "select p.oid::regprocedure::text from pg_proc p where p.pronamespace in ('credits'::regnamespace,"
            " 'public'::regnamespace) and p.prosrc ~ 'for (no key )?update'"
        ):
            body = victim.database.value("select pg_get_functiondef(%s::regprocedure)", name)
            victim.database.run(re.sub(r"\sfor (no key )?update( of \w+)?( skip locked)?", "", body))
        try:
            with Load(victim.connect, accounts, seed=seed, clients=8) as load:
                load.wait_for(2_000)
            noticed = check(load.journal, victim.url)
        except (psycopg.IntegrityError, psycopg.errors.RaiseException, AssertionError) as error:
            noticed = [str(error)]
        assert noticed
