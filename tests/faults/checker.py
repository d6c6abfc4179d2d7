"""Compares what was promised with what is there, from one consistent snapshot.

acknowledged ⇒ durable with the same values · each key at most once · nothing alien · denied ⇒ no effect ·
the order of versions agrees with real time · the always-true rules
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.faults.journal import Journal, Operation

SPENDING = ("consume", "capture")


@dataclass
class Snapshot:
    """The tables, as one transaction saw them."""

    ledger: list[dict[str, Any]]
    usage: list[dict[str, Any]]
    holds: dict[str, dict[str, Any]]
    keys: dict[tuple[str, str], str]
    books: dict[str, Any]

    @classmethod
    def read(cls, url: str) -> Snapshot:
        with psycopg.connect(url, row_factory=dict_row) as connection:
            connection.execute("set transaction isolation level repeatable read, read only")
            ledger = connection.execute(
                "select account_id, credit_type, version, operation_id::text, kind::text, amount, user_id,"
                " related_operation_id::text, (metadata ->> 'tag')::int as tag from public.credit_transactions"
            ).fetchall()
            usage = connection.execute(
                "select operation_id::text, status, credits_used, (metadata ->> 'tag')::int as tag from public.usage"
            ).fetchall()
            holds = connection.execute(
                "select id::text, status, amount, captured, released, shortfall, operation_id::text,"
                " (metadata ->> 'tag')::int as tag from public.credit_reservations"
            ).fetchall()
            keys = connection.execute(
                "select account_id::text, idempotency_key, operation_id::text from credits.idempotency_keys"
            ).fetchall()
            books = connection.execute("select public.verify_books() as books").fetchone()
        assert books is not None
        return cls(
            ledger=ledger,
            usage=usage,
            holds={row["id"]: row for row in holds},
            keys={(row["account_id"], row["idempotency_key"]): row["operation_id"] for row in keys},
            books=books["books"],
        )


def check(journal: Journal, url: str) -> list[str]:
    """What disagrees, as sentences; nothing when all promises were kept."""
    snapshot = Snapshot.read(url)
    return [
        *_durable(journal, snapshot),
        *_once(journal, snapshot),
        *_nothing_alien(journal, snapshot),
        *_denials(journal, snapshot),
        *_real_time(journal, snapshot),
        *_books(snapshot),
    ]


def _durable(journal: Journal, snapshot: Snapshot) -> Iterator[str]:
    moved: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in snapshot.ledger:
        moved[row["operation_id"]][row["kind"]] += row["amount"]
    used = {row["operation_id"]: row["credits_used"] for row in snapshot.usage}
    for operation in journal.operations:
        if not operation.took_effect:
            continue
        for answer in _answers(operation):
            name, amount = answer["operation_id"], answer["amount"]
            told = f"operation {operation.tag} ({operation.function}) was acknowledged, but"
            if operation.function in ("consume_credits", "consume_credits_batch"):
                if moved[name]["consume"] != -amount:
                    yield f"{told} the ledger has {-moved[name]['consume']} of {amount}"
                if used.get(name) != amount:
                    yield f"{told} usage has {used.get(name)} of {amount}"
            elif operation.function == "grant_credits" and moved[name]["grant"] != amount:
                yield f"{told} the ledger has a grant of {moved[name]['grant']} instead of {amount}"
            elif operation.function == "refund_credits" and moved[name]["refund"] != amount:
                yield f"{told} the ledger has a refund of {moved[name]['refund']} instead of {amount}"
            elif operation.function in ("reserve_credits", "capture_credits", "release_credits"):
                yield from _durable_hold(told, operation, answer, snapshot)
            if operation.key and snapshot.keys.get((str(operation.account), operation.key)) != name:
                yield f"{told} its key belongs to {snapshot.keys.get((str(operation.account), operation.key))}"


def _durable_hold(told: str, operation: Operation, answer: dict[str, Any], snapshot: Snapshot) -> Iterator[str]:
    hold = snapshot.holds.get(answer["reservation_id"])
    if hold is None:
        yield f"{told} there is no such hold"
    elif operation.function == "reserve_credits" and hold["amount"] != answer["amount"]:
        yield f"{told} the hold has {hold['amount']} of {answer['amount']}"
    elif operation.function == "release_credits" and hold["status"] != "released":
        yield f"{told} the hold is {hold['status']}"
    elif operation.function == "capture_credits" and (hold["status"], hold["captured"], hold["shortfall"]) != (
        "captured",
        answer["captured"],
        answer["shortfall"],
    ):
        yield f"{told} the hold is {hold['status']} with {hold['captured']} of {answer['captured']}"


def _answers(operation: Operation) -> list[dict[str, Any]]:
    answer = operation.answer or {}
    items: list[dict[str, Any]] = answer.get("items") or [answer]
    return items


def _once(journal: Journal, snapshot: Snapshot) -> Iterator[str]:
    effects: dict[tuple[int, str], set[str]] = defaultdict(set)
    for row in snapshot.ledger:
        if row["kind"] == "consume" and row["tag"] is not None:
            effects[row["tag"], row["credit_type"]].add(row["operation_id"])
        elif row["kind"] == "grant" and row["tag"] is not None:
            effects[row["tag"], "grant"].add(row["operation_id"])
    for hold in snapshot.holds.values():
        effects[hold["tag"], "hold"].add(hold["operation_id"])
    for (tag, what), operations in effects.items():
        if len(operations) > 1:
            yield f"operation {tag} took effect {len(operations)} times ({what})"


def _nothing_alien(journal: Journal, snapshot: Snapshot) -> Iterator[str]:
    issued = {operation.tag for operation in journal.operations}
    refused = {operation.tag for operation in journal.operations if operation.error is not None}
    for row in snapshot.ledger:
        if row["kind"] in SPENDING:
            if row["tag"] not in issued:
                yield f"nobody issued the {row['kind']} of version {row['version']} of {row['account_id']}"
            elif row["kind"] == "consume" and row["tag"] in refused:
                yield f"operation {row['tag']} was refused, but is in the ledger"
    for hold in snapshot.holds.values():
        if hold["tag"] not in issued or hold["tag"] in refused:
            yield f"nobody issued the hold {hold['id']}"


def _denials(journal: Journal, snapshot: Snapshot) -> Iterator[str]:
    in_ledger = {row["operation_id"] for row in snapshot.ledger if row["kind"] in SPENDING}
    denied = {row["operation_id"] for row in snapshot.usage if row["status"] == "denied"}
    for operation in journal.operations:
        if operation.denied:
            name = (operation.answer or {})["operation_id"]
            if name in in_ledger:
                yield f"operation {operation.tag} was denied, but is in the ledger"
            if name not in denied:
                yield f"operation {operation.tag} was denied, but that is not on record"


def _real_time(journal: Journal, snapshot: Snapshot) -> Iterator[str]:
    """What was answered before another was issued has the lower versions."""
    versions: dict[tuple[str, str], list[int]] = defaultdict(list)
    chain: dict[str, tuple[Any, str]] = {}
    for row in snapshot.ledger:
        if row["kind"] in (*SPENDING, "refund"):
            versions[row["operation_id"], row["kind"]].append(row["version"])
            chain[row["operation_id"]] = (row["account_id"], row["credit_type"])
    kinds = {"consume_credits": "consume", "capture_credits": "capture", "refund_credits": "refund"}
    per_chain: dict[tuple[Any, str], list[tuple[Operation, int, int]]] = defaultdict(list)
    for operation in journal.operations:
        if operation.took_effect and operation.function in kinds:
            name = (operation.answer or {})["operation_id"]
            found = versions.get((name, kinds[operation.function]))
            if found:
                per_chain[chain[name]].append((operation, min(found), max(found)))
    for operations in per_chain.values():
        answered = sorted(operations, key=lambda item: item[0].acknowledged or 0)
        highest, reached = 0, 0
        for operation, lowest, _ in sorted(operations, key=lambda item: item[0].issued):
            while reached < len(answered) and (answered[reached][0].acknowledged or 0) < operation.issued:
                highest = max(highest, answered[reached][2])
                reached += 1
            if lowest <= highest:
                yield f"operation {operation.tag} has version {lowest}, though {highest} was answered before its issue"


def _books(snapshot: Snapshot) -> Iterator[str]:
    for rule in snapshot.books["checks"]:
        if not rule["ok"]:
            yield f"rule {rule['rule']}, {rule['name']}: {rule['violations'][:3]}"
