"""From a body that Stripe has signed to an event and its facts."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sonas_supabase.billing import _endive
from sonas_supabase.billing._events import HANDLED, LEFT_ALONE
from sonas_supabase.billing._signature import check_signature
from sonas_supabase.billing._view import needed, text, time, truth
from sonas_supabase.billing.errors import UnknownApiVersion, Unreadable
from sonas_supabase.untrusted import read_json

API_VERSION = "2026-10-28.endive"
"""What the endpoint at Stripe is made with, and the SDK of this release speaks."""

READERS: dict[str, Callable[[_endive.Source], list[dict[str, Any]]]] = {"endive": _endive.facts_of}
"""By the major of the API version, what reads its events."""

_log = logging.getLogger("sonas_supabase.billing")
_THIN = "v2.core.event"


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingEvent:
    """An event and what it says, as `apply_billing_event` takes them.

    Attributes:
        event: its provider, id, type, time and mode; ``ignored`` says why it changes nothing, ``body`` is what came.
        facts: what it says, in words that belong to no provider.
    """

    event: dict[str, Any]
    facts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The provider's id of the event."""
        return str(self.event["id"])

    @property
    def type(self) -> str:
        """The provider's name for what has happened."""
        return str(self.event["type"])


def read_webhook(
    body: bytes,
    signature: str | None,
    secrets: Sequence[str],
    *,
    livemode: bool | None = None,
    now: float | None = None,
) -> BillingEvent:
    """Checks who has signed a body and when, and reads it.

    Args:
        body: as it came, unparsed.
        signature: the header ``Stripe-Signature``.
        secrets: those of the endpoint; several while one takes the place of another.
        livemode: which events count here, those of live mode or of test mode; None for either.
        now: seconds since 1970; the clock's by default.

    Raises:
        Refused: it cannot be taken, and sending it again would not help.
    """
    check_signature(body, signature, secrets, now=now)
    return read_event(parse(body), livemode=livemode)


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in a body, as far as a database can keep it."""
    try:
        parsed = read_json(body.decode(), parse_constant=_refuse, parse_float=_finite)
        # Half a surrogate pair and NUL are JSON, and no text for a database.
        json.dumps(parsed, ensure_ascii=False).encode()
    except ValueError as error:
        raise Unreadable("The body is no JSON.") from error
    if not isinstance(parsed, dict):
        raise Unreadable("The body is no JSON object.")
    if _has_nul(parsed):
        raise Unreadable("The body has a character that no database keeps.")
    return parsed


def read_event(body: dict[str, Any], *, livemode: bool | None = None) -> BillingEvent:
    """Reads an event that is known to be Stripe's: from a webhook, or from its list of events."""
    event: dict[str, Any] = {
        "provider": "stripe",
        "id": needed(text(body.get("id")), "id"),
        "type": needed(text(body.get("type")), "type"),
    }
    if body.get("object") == _THIN:
        return BillingEvent(event={**event, **_thin(body)})
    event |= {
        "created": needed(time(body.get("created")), "time"),
        "livemode": truth(body.get("livemode")),
        "api_version": text(body.get("api_version")),
        "account": text(body.get("account")),
        "body": body,
    }
    reader = _reader(event)
    reason = _why_not(event, livemode)
    if reason:
        return BillingEvent(event={**event, "ignored": reason})
    data = body.get("data")
    of = data.get("object") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(of, dict):
        raise Unreadable("The event has no object.")
    before = data.get("previous_attributes")
    source = _endive.Source(event["type"], event["created"], of, before if isinstance(before, dict) else {})
    try:
        facts = reader(source)
    except (AttributeError, TypeError) as error:
        raise Unreadable("The object is not of the shape that its type has.") from error
    if not facts:
        return BillingEvent(event={**event, "ignored": "It is about nothing that was bought here."})
    return BillingEvent(event=event, facts=facts)


def _reader(event: dict[str, Any]) -> Callable[[_endive.Source], list[dict[str, Any]]]:
    major = (event["api_version"] or "").rpartition(".")[2]
    if major not in READERS:
        _log.error(
            "Stripe event %s (%s) is of API version %s; this release reads %s. Make the endpoint anew with "
            "`sonas stripe push`, or change its version.",
            event["id"],
            event["type"],
            event["api_version"],
            ", ".join(READERS),
        )
        raise UnknownApiVersion(f"Events of API version {event['api_version']} cannot be read here.")
    return READERS[major]


def _why_not(event: dict[str, Any], livemode: bool | None) -> str | None:
    if event["account"] is not None:
        return "It belongs to a connected account."
    if livemode is not None and event["livemode"] != livemode:
        return f"It is of {_mode(event['livemode'])} mode, and this is {_mode(livemode)} mode."
    known = HANDLED.get(event["type"])
    if known:
        return None
    left = LEFT_ALONE.get(event["type"])
    return f"Left alone: {left.effect}." if left else "Nothing here needs events of this type."


def _mode(livemode: bool) -> str:
    return "live" if livemode else "test"


def _thin(body: dict[str, Any]) -> dict[str, Any]:
    """A thin event says nothing by itself: the destination at Stripe is of the wrong kind."""
    created = body.get("created")
    try:
        at = datetime.fromisoformat(created) if isinstance(created, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Unreadable("The event has no time.")
    return {
        "created": at.isoformat(),
        "livemode": truth(body.get("livemode")),
        "api_version": None,
        "account": None,
        "body": body,
        "ignored": "A thin event: the destination at Stripe must send snapshots (wrong kind of destination).",
    }


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(number)
    return value


def _has_nul(value: object) -> bool:
    waiting = [value]
    while waiting:
        at = waiting.pop()
        if isinstance(at, str) and "\0" in at:
            return True
        if isinstance(at, dict):
            waiting += [*at.keys(), *at.values()]
        elif isinstance(at, list):
            waiting += at
    return False
