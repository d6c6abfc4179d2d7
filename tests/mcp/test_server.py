"""A real client over stdio: read-only by default, and what moves credits asks twice."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.support.database import Database

READS = {"balance", "history", "why", "quote", "plans", "metrics"}
WRITES = {"grant", "refund", "change_plan"}


@asynccontextmanager
async def serving(database: Database, *words: str) -> AsyncIterator[ClientSession]:
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "sonas_cli", "mcp", "--db-url", database.url, *words]
    )
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        started = await session.initialize()
        assert "e-mail" in str(started.instructions)
        yield session


async def ask(session: ClientSession, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await session.call_tool(tool, arguments)
    assert isinstance(answer.structured_content, dict), answer
    return answer.structured_content


async def test_an_agent_reads_and_cannot_write(database: Database, user: UUID) -> None:
    database.call("set_price", "look", "call", 370_000_000)
    spent = database.call("consume_operation", user, "look")
    async with serving(database) as session:
        assert {tool.name for tool in (await session.list_tools()).tools} == READS
        left = await ask(session, "balance", user_id=str(user))
        assert {row["credit_type"]: row["remaining"] for row in left["balances"]}["integration"] == 99
        email = f"agent-{user.hex[:8]}@example.com"
        database.run("update auth.users set email = %s where id = %s", email, user)
        assert (await ask(session, "balance", user_id=email))["user_id"] == str(user)
        missing = await ask(session, "balance", user_id=email[1:])
        assert (missing["code"], "sonas users" in missing["hint"] or email in missing["hint"]) == (
            "account_not_found",
            True,
        )
        assert (await ask(session, "history", user_id=str(user)))["rows"][0]["amount"] == -1
        why = await ask(session, "why", user_id=str(user), operation_id=spent["operation_id"])
        assert why["price"]["cost"] == "0.37"
        assert (await ask(session, "quote", operation="look", quantities={"call": 2}))["cost"] == "0.74"
        assert (await ask(session, "quote", operation="nothing"))["code"] == "unknown_operation"
        assert "pro" in {plan["id"] for plan in (await ask(session, "plans"))["plans"]}
        assert "rows" in await ask(session, "metrics", name="consumption")
        assert (await ask(session, "metrics", name="secrets"))["code"] == "invalid_argument"


async def test_what_moves_credits_asks_twice_and_does_it_once(database: Database, user: UUID) -> None:
    async with serving(database, "--allow-writes") as session:
        assert {tool.name for tool in (await session.list_tools()).tools} == READS | WRITES
        given = {"user_id": str(user), "credit_type": "message", "amount": 5, "reason": "sorry"}
        first = await ask(session, "grant", **given)
        assert first["done"] is False
        assert database.balance(user)["remaining"] == 10
        other = await ask(session, "grant", **{**given, "amount": 500}, confirm=first["confirm"])
        assert other["code"] == "not_confirmed"
        assert (await ask(session, "grant", **given, confirm=first["confirm"]))["done"] is True
        assert (await ask(session, "grant", **given, confirm=first["confirm"]))["code"] == "not_confirmed"
        assert database.balance(user)["remaining"] == 15
        plan = {"user_id": str(user), "plan_id": "pro"}
        asked = await ask(session, "change_plan", **plan)
        assert (await ask(session, "change_plan", **plan, confirm=asked["confirm"]))["done"] is True
        operation = database.call("consume_credits", user, "message", 3)["operation_id"]
        back = {"user_id": str(user), "operation_id": operation, "reason": "failed"}
        asked = await ask(session, "refund", **back)
        assert (await ask(session, "refund", **back, confirm=asked["confirm"]))["amount"] == 3
    database.verify(user)
