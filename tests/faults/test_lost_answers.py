"""A line that loses answers after the server has done the work: sent again under its key, it takes effect once."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from tests.faults.checker import check
from tests.faults.conftest import Victim
from tests.faults.load import Load
from tests.support.proxy import Proxy, break_connection

# What a server says until it is ready for the first query: the request for a password, two rounds of it.
GREETINGS = 3


class LossyLine(Proxy):
    """Loses `share` of the answers, and of the requests, once a client is logged in."""

    def __init__(self, host: str, port: int, *, seed: int, share: float = 0.08) -> None:
        self._share = share
        self._dice = random.Random(seed)
        self.cut_requests = 0
        super().__init__(host, port)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        seen = 0
        with suppress(OSError):
            while data := server.recv(65536):
                seen += 1
                if seen > GREETINGS and self._dice.random() < self._share:
                    self.lost += 1
                    break
                client.sendall(data)
        break_connection(client)
        break_connection(server)

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        seen = 0
        with suppress(OSError):
            while data := client.recv(65536):
                seen += 1
                if seen > GREETINGS and self._dice.random() < self._share / 4:
                    self.cut_requests += 1
                    break
                server.sendall(data)
        break_connection(client)
        break_connection(server)


def lose(victim: Victim, seed: int, answers: int) -> tuple[Load, LossyLine]:
    """Runs a load until so many answers were lost."""
    accounts = victim.accounts(12)
    line = LossyLine("127.0.0.1", victim.cluster.port, seed=seed)
    url = victim.url.replace(f":{victim.cluster.port}/", f":{line.port}/")

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(url, autocommit=True, connect_timeout=10)

    try:
        with Load(connect, accounts, seed=seed, clients=6) as load:
            while line.lost < answers:
                load.wait_for(20)
    finally:
        line.close()
    return load, line


def test_a_thousand_lost_answers_double_nothing(
    new_victim: Callable[..., Any], record: Callable[..., None], seed: int, long_form: bool
) -> None:
    with new_victim() as victim:
        load, line = lose(victim, seed, 10_000 if long_form else 1_000)
        assert check(load.journal, victim.url) == []
        counts = load.journal.counts()
        record("answers lost on the way", f"{line.lost}, and {line.cut_requests} requests cut", load.journal)
        assert counts["sent again"] > 100


def test_the_checker_notices_keys_that_are_not_looked_up(new_victim: Callable[..., Any], seed: int) -> None:
    """Negative control: without the look-up of the key, what is sent again is done again, or fails."""
    with new_victim() as victim:
        victim.database.run(
            "create or replace function credits.replay(p_account_id uuid, p_idempotency_key text, p_request jsonb)"
            " returns jsonb language sql stable set search_path = '' as 'select null::jsonb';"
            "create or replace function credits.remember(p_account_id uuid, p_idempotency_key text,"
            " p_operation_id uuid, p_request jsonb, p_answer jsonb, p_at timestamptz)"
            " returns void language sql set search_path = '' as 'select'"
        )
        load, _ = lose(victim, seed, 100)
        problems = check(load.journal, victim.url)
        assert any("took effect" in problem and "times" in problem for problem in problems)
