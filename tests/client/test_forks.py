"""A client that was used before a fork opens connections of its own in every child."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from sonas_supabase import CreditsClient, NotConfigured
from tests.support.api import Api
from tests.support.clients import TRANSPORTS
from tests.support.database import Database

CHILDREN, CALLS = 4, 10


def in_children(work: Callable[[int], Any]) -> list[Any]:
    """What the work answers in each of so many forks, all at once."""
    pipes = []
    for nth in range(CHILDREN):
        read, write = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                os.write(write, json.dumps(work(nth)).encode())
                os._exit(0)
            except BaseException:
                traceback.print_exc(file=sys.stderr)
                os._exit(1)
        os.close(write)
        pipes.append((process, read))
    answers = []
    for process, read in pipes:
        with os.fdopen(read, "rb") as pipe:
            said = pipe.read()
        assert os.waitpid(process, 0)[1] == 0
        answers.append(json.loads(said))
    return answers


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_each_process_has_its_own_answers(transport: str, database: Database, api: Api) -> None:
    users = [database.new_user() for _ in range(CHILDREN)]
    if transport == "postgres":
        credits = CreditsClient.from_url(database.url)
    else:
        credits = CreditsClient.from_supabase(api.url, api.keys.secret_key)
    credits.list_plans()

    def spend(nth: int) -> list[Any]:
        return [credits.consume_credits(users[nth], "message", timeout=20).remaining for _ in range(CALLS)] + [
            str(credits.get_credit_summary(users[nth]).account_id)
        ]

    for nth, answer in enumerate(in_children(spend)):
        assert answer == [*range(9, -1, -1), str(users[nth])]
    # The parent's own connection was not closed under it.
    assert credits.get_credit_summary(users[0]).balance("message").used == CALLS
    credits.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_connection_of_the_parent_is_refused(database: Database) -> None:
    user = database.new_user()
    with psycopg.connect(database.url) as own:
        credits = CreditsClient.from_connection(own)

        def refused(_: int) -> str:
            try:
                credits.consume_credits(user, "message")
            except NotConfigured as error:
                return error.code
            return "spent"

        assert in_children(refused) == ["not_configured"] * CHILDREN
        assert credits.consume_credits(user, "message").remaining == 9
