"""No call outlasts its timeout, whatever the other side does or leaves undone."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy as sa

from sonas_supabase import AsyncCreditsClient, CreditsClient, CreditsError, CreditsUnavailable, InvalidArgument
from tests.support.api import Api
from tests.support.clients import COLOURS, TRANSPORTS, Awaited, make_client
from tests.support.database import Database
from tests.support.proxy import proxy_to

SECONDS = 0.7
# Less than three more tries would take, and more than a busy machine.
SLACK = 1.8


@contextmanager
def silent_server(*, drips: bool = False) -> Iterator[int]:
    """Accepts connections and says nothing; or drips an endless answer, a byte at a time."""
    ended = threading.Event()
    held: list[socket.socket] = []

    def drip(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
            while not ended.wait(0.05):
                connection.sendall(b" ")

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                held.append(connection)
                if drips:
                    threading.Thread(target=drip, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
    for connection in held:
        connection.close()


def address(transport: str, port: int) -> str:
    return f"postgresql://x:y@127.0.0.1:{port}/postgres" if transport == "postgres" else f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("colour", COLOURS)
async def test_a_server_that_says_nothing_is_given_up(transport: str, colour: str) -> None:
    with silent_server() as port:
        async with make_client(
            transport, colour, url=address(transport, port), secret_key="sb_secret_x", timeout=SECONDS
        ) as credits:
            began = time.monotonic()
            with pytest.raises(CreditsUnavailable) as silent:
                await credits.consume_credits(uuid4(), "message")
            assert time.monotonic() - began < SECONDS + SLACK
            assert silent.value.retryable


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("colour", COLOURS)
async def test_a_call_may_have_a_timeout_of_its_own(transport: str, colour: str) -> None:
    with silent_server() as port:
        async with make_client(
            transport, colour, url=address(transport, port), secret_key="sb_secret_x", timeout=60
        ) as credits:
            began = time.monotonic()
            with pytest.raises(CreditsUnavailable):
                await credits.verify_books(timeout=SECONDS)
            assert time.monotonic() - began < SECONDS + SLACK


@pytest.mark.parametrize("colour", COLOURS)
async def test_an_answer_that_drips_is_given_up_too(colour: str) -> None:
    with silent_server(drips=True) as port:
        async with make_client("rpc", colour, url=address("rpc", port), secret_key="sb_secret_x") as credits:
            began = time.monotonic()
            with pytest.raises(CreditsUnavailable) as late:
                await credits.list_plans(timeout=SECONDS, retries=0)
            assert time.monotonic() - began < SECONDS + SLACK
            assert late.value.may_have_taken_effect


async def test_a_lock_is_waited_for_no_longer_than_the_timeout(shape: Any, database: Database, api: Api) -> None:
    user = database.new_user()
    url = database.url if shape[0] == "postgres" else api.url
    with database.connect(autocommit=False) as blocker:
        blocker.execute("select 1 from credits.balances where account_id = %s for update", [user])
        async with make_client(*shape, url=url, secret_key=api.keys.secret_key) as credits:
            began = time.monotonic()
            with pytest.raises(CreditsUnavailable) as late:
                await credits.consume_credits(user, "message", timeout=SECONDS)
            assert time.monotonic() - began < SECONDS + SLACK
            assert late.value.may_have_taken_effect
            # One account that is busy is no reason to refuse the others.
            assert (await credits.list_plans())[0].id == "free"
        blocker.rollback()


async def test_many_calls_that_are_given_up_leave_no_connection_busy() -> None:
    answers = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await answers.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\nnull")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncCreditsClient.from_supabase(f"http://127.0.0.1:{port}", "sb_secret_x", retries=0) as credits:
            for _ in range(4):
                calls = (credits.list_plans(timeout=0.4) for _ in range(250))
                given_up = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)
                assert all(isinstance(each, CreditsUnavailable) for each in given_up)
                answers.set()
                async with asyncio.timeout(30):
                    # The breaker waits for a moment.
                    while isinstance(await returned(credits.list_plans()), CreditsUnavailable):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                answers.clear()
            answers.set()


async def returned(call: Awaitable[object]) -> object:
    """What it answers, or raises: what the server says here is no list of plans."""
    try:
        return await call
    except CreditsError as error:
        return error


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_connection_of_ones_own_is_not_waited_for_for_ever_either(
    colour: str, database: Database, user: UUID
) -> None:
    with database.connect(autocommit=False) as blocker:
        blocker.execute("select 1 from credits.balances where account_id = %s for update", [user])
        if colour == "sync":
            own = psycopg.connect(database.url)
            credits: Any = Awaited(CreditsClient.from_connection(own))
        else:
            own = await psycopg.AsyncConnection.connect(database.url)  # type: ignore[assignment]
            credits = AsyncCreditsClient.from_connection(own)
        with pytest.raises(CreditsUnavailable):
            await credits.consume_credits(user, "message", timeout=SECONDS)
        assert own.closed
        blocker.rollback()
    assert database.balance(user)["used"] == 0


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "pg8000"])
def test_a_connection_of_sqlalchemy_is_cut(database: Database, user: UUID, driver: str, silent: bool) -> None:
    """Whether the database waits for a lock, or nothing at all comes back any more."""
    place = sa.make_url(database.url)
    with proxy_to(str(place.host), int(place.port or 5432)) as line, database.connect(autocommit=False) as blocker:
        engine = sa.create_engine(
            place.set(drivername=f"postgresql+{driver}", host="127.0.0.1", port=line.port, query={})
        )
        with engine.connect() as own:
            credits = CreditsClient.from_connection(own)
            assert credits.consume_credits(user, "message").remaining == 9
            own.commit()
            if silent:
                line.silent = True
            else:
                blocker.execute("select 1 from credits.balances where account_id = %s for update", [user])
            began = time.monotonic()
            with pytest.raises(CreditsUnavailable, match="in time"):
                credits.consume_credits(user, "message", timeout=SECONDS)
            assert time.monotonic() - began < SECONDS + SLACK
            own.invalidate()
        engine.dispose()
        blocker.rollback()
    assert database.balance(user)["used"] == 1


@pytest.mark.parametrize(("option", "value"), [("timeout", 0), ("timeout", "3"), ("retries", -1), ("retries", 1.5)])
def test_what_is_no_time_or_number_is_refused(database: Database, option: str, value: Any) -> None:
    with pytest.raises(InvalidArgument):
        CreditsClient.from_url(database.url, **{option: value})
    with CreditsClient.from_url(database.url) as credits, pytest.raises(InvalidArgument):
        credits.list_plans(**{option: value})


async def test_a_closed_client_says_so(shape: Any, database: Database, api: Api) -> None:
    url = database.url if shape[0] == "postgres" else api.url
    credits = make_client(*shape, url=url, secret_key=api.keys.secret_key)
    await credits.list_plans()
    await credits.close()
    with pytest.raises(CreditsError, match="closed") as closed:
        await credits.list_plans()
    assert not closed.value.retryable
    await credits.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_async_client_serves_one_loop_after_the_other(transport: str, database: Database, api: Api) -> None:
    url = f"{database.url}?application_name=a%20loop" if transport == "postgres" else api.url
    credits: AsyncCreditsClient = make_client(transport, "async", url=url, secret_key=api.keys.secret_key)
    for _ in range(3):
        assert asyncio.run(credits.list_plans())[0].id == "free"
    left = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'a loop'"
    deadline = time.monotonic() + 10
    while database.value(left):
        assert time.monotonic() < deadline, "a loop has left its connection open"
    asyncio.run(credits.close())
