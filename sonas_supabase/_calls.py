"""One builder per SQL function: what is sent, how its answer is read, and whether it may be sent twice. No I/O.

An argument that is None is not sent, so that the defaults of the SQL functions are the only defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from sonas_supabase import _arguments as arg
from sonas_supabase import models
from sonas_supabase._parse import parse
from sonas_supabase.errors import DENIALS, ERRORS, InvalidArgument

T = TypeVar("T")
Id = UUID | str
Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A call of ``public.<function>`` with ``p_<name>`` for each of ``arguments``.

    ``repeatable``: sending it twice has the effect of sending it once. ``keyed``: it has, with an idempotency key.
    ``denies``: running out is one of its answers.
    """

    function: str
    arguments: Mapping[str, Any]
    read_answer: Callable[[Any], T]
    repeatable: bool = False
    keyed: bool = False
    denies: bool = False

    @property
    def params(self) -> dict[str, Any]:
        """The named parameters of the SQL function, as JSON values."""
        return {f"p_{name}": value for name, value in self.arguments.items() if value is not None}

    def with_key(self) -> Call[T]:
        """The same call, safe to send again: with a key of its own where the caller gave none."""
        if not self.keyed:
            return self
        arguments = dict(self.arguments)
        if "items" in arguments:
            arguments["items"] = [{"idempotency_key": str(uuid4()), **item} for item in arguments["items"]]
        elif arguments["idempotency_key"] is None:
            arguments["idempotency_key"] = str(uuid4())
        return Call(self.function, arguments, self.read_answer, repeatable=True, denies=self.denies)

    def read(self, answer: Any) -> T:
        """The result. Raises the denial that a call which spends was answered with."""
        if self.denies and isinstance(answer, Mapping) and answer.get("code") in DENIALS:
            raise ERRORS[answer["code"]](
                answer.get("message", ""),
                details=answer.get("details"),
                hint=answer.get("hint", ""),
            )
        return self.read_answer(answer)


def consume_credits(
    user_id: Id,
    credit_type: str,
    amount: int,
    *,
    description: str | None,
    idempotency_key: str | None,
    metadata: Mapping[str, Any] | None,
    workspace_id: Id | None,
    strict: bool,
) -> Call[models.Answer]:
    return Call(
        "consume_credits",
        {
            "user_id": arg.uuid("user_id", user_id),
            "credit_type": arg.text("credit_type", credit_type),
            "amount": arg.amount(amount),
            "description": arg.optional_text("description", description),
            "idempotency_key": arg.optional_text("idempotency_key", idempotency_key),
            "metadata": arg.json_object("metadata", metadata),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
            "strict": arg.boolean("strict", strict),
        },
        partial(parse, models.Answer),
        keyed=True,
        denies=True,
    )


def consume_credits_batch(user_id: Id, items: Sequence[Item], *, workspace_id: Id | None) -> Call[models.Batch]:
    if isinstance(items, str | Mapping) or not isinstance(items, Sequence):
        raise InvalidArgument(
            "items is not a list.",
            details={"argument": "p_items"},
            hint="Pass a list of 1 to 100 mappings.",
        )
    return Call(
        "consume_credits_batch",
        {
            "user_id": arg.uuid("user_id", user_id),
            "items": [_item(index, item) for index, item in enumerate(items)],
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        partial(parse, models.Batch),
        keyed=True,
        denies=True,
    )


def _item(index: int, item: Item) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise InvalidArgument(
            f"items[{index}] is not a mapping.",
            details={"argument": "p_items", "item": index},
            hint="Each item is a JSON object.",
        )
    checked = {name: value for name, value in item.items() if value is not None}
    if "amount" in item:
        checked["amount"] = arg.amount(item["amount"], item=index)
    return arg.json_object(f"items[{index}]", checked) or {}


def check_credits(user_id: Id, credit_type: str, amount: int, *, workspace_id: Id | None) -> Call[models.Advice]:
    return Call(
        "check_credits",
        {
            "user_id": arg.uuid("user_id", user_id),
            "credit_type": arg.text("credit_type", credit_type),
            "amount": arg.amount(amount),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        partial(parse, models.Advice),
        repeatable=True,
    )


def reserve_credits(
    user_id: Id,
    credit_type: str,
    amount: int,
    *,
    description: str | None,
    idempotency_key: str | None,
    metadata: Mapping[str, Any] | None,
    ttl_seconds: int,
    workspace_id: Id | None,
    strict: bool,
) -> Call[models.Reservation]:
    return Call(
        "reserve_credits",
        {
            "user_id": arg.uuid("user_id", user_id),
            "credit_type": arg.text("credit_type", credit_type),
            "amount": arg.amount(amount),
            "description": arg.optional_text("description", description),
            "idempotency_key": arg.optional_text("idempotency_key", idempotency_key),
            "metadata": arg.json_object("metadata", metadata),
            "ttl_seconds": arg.integer("ttl_seconds", ttl_seconds),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
            "strict": arg.boolean("strict", strict),
        },
        partial(parse, models.Reservation),
        keyed=True,
        denies=True,
    )


def capture_credits(
    user_id: Id,
    reservation_id: Id,
    amount: int | None,
    *,
    description: str | None,
    metadata: Mapping[str, Any] | None,
    workspace_id: Id | None,
) -> Call[models.Capture]:
    return Call(
        "capture_credits",
        {
            "user_id": arg.uuid("user_id", user_id),
            "reservation_id": arg.uuid("reservation_id", reservation_id),
            "amount": arg.optional_amount(amount),
            "description": arg.optional_text("description", description),
            "metadata": arg.json_object("metadata", metadata),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        partial(parse, models.Capture),
        repeatable=True,
    )


def release_credits(
    user_id: Id, reservation_id: Id, *, reason: str | None, workspace_id: Id | None
) -> Call[models.Release]:
    return Call(
        "release_credits",
        {
            "user_id": arg.uuid("user_id", user_id),
            "reservation_id": arg.uuid("reservation_id", reservation_id),
            "reason": arg.optional_text("reason", reason),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        partial(parse, models.Release),
        # A second release changes nothing, but it answers reservation_closed.
        repeatable=True,
    )


def refund_credits(
    user_id: Id,
    operation_id: Id,
    amount: int | None,
    *,
    reason: str | None,
    idempotency_key: str | None,
    workspace_id: Id | None,
) -> Call[models.Refund]:
    return Call(
        "refund_credits",
        {
            "user_id": arg.uuid("user_id", user_id),
            "operation_id": arg.uuid("operation_id", operation_id),
            "amount": arg.optional_amount(amount),
            "reason": arg.optional_text("reason", reason),
            "idempotency_key": arg.optional_text("idempotency_key", idempotency_key),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        partial(parse, models.Refund),
        keyed=True,
    )


def grant_credits(
    user_id: Id,
    credit_type: str,
    amount: int,
    *,
    source: str,
    description: str | None,
    expires_at: datetime | None,
    idempotency_key: str | None,
    metadata: Mapping[str, Any] | None,
    workspace_id: Id | None,
) -> Call[models.Grant]:
    return Call(
        "grant_credits",
        {
            "user_id": arg.uuid("user_id", user_id),
            "credit_type": arg.text("credit_type", credit_type),
            "amount": arg.amount(amount),
            "source": arg.text("source", source),
            "description": arg.optional_text("description", description),
            "expires_at": arg.optional_time("expires_at", expires_at),
            "idempotency_key": arg.optional_text("idempotency_key", idempotency_key),
            "metadata": arg.json_object("metadata", metadata),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        partial(parse, models.Grant),
        keyed=True,
    )


def revoke_grant(user_id: Id, grant_id: Id, *, reason: str | None, workspace_id: Id | None) -> Call[models.Grant]:
    return Call(
        "revoke_grant",
        {
            "user_id": arg.uuid("user_id", user_id),
            "grant_id": arg.uuid("grant_id", grant_id),
            "reason": arg.optional_text("reason", reason),
            "workspace_id": arg.optional_uuid("workspace_id", workspace_id),
        },
        partial(parse, models.Grant),
        repeatable=True,
    )
