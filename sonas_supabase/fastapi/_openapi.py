"""The OpenAPI document: routes that need a user or spend credits say how they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from sonas_supabase import CreditsUnavailable, IdempotencyConflict, InsufficientCredits
from sonas_supabase.fastapi._problems import MEDIA_TYPE
from sonas_supabase.fastapi.errors import NoAccount, NotAuthenticated

BEARER = "Supabase"
MARK: dict[str, Any] = {"x-spends-credits": True}
_REF = "#/components/schemas/"

_PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "A problem document (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "code": {"type": "string", "description": "A slug for programs."},
    },
}
_DENIAL: dict[str, Any] = {
    "title": "Denial",
    "description": "There are not enough credits.",
    "allOf": [{"$ref": f"{_REF}Problem"}],
    "type": "object",
    "required": ["credit_type", "required", "available", "resets_at", "plan", "upgrade_url"],
    "properties": {
        "credit_type": {"type": "string"},
        "required": {"type": "integer", "description": "Credits that the request required."},
        "available": {"type": "integer", "description": "Credits that could be spent."},
        "resets_at": {"type": ["string", "null"], "format": "date-time"},
        "plan": {"type": ["string", "null"]},
        "upgrade_url": {"type": ["string", "null"], "format": "uri-reference"},
    },
}
_WHY = {
    NotAuthenticated: "The request does not prove which user sent it.",
    InsufficientCredits: "There are not enough credits.",
    NoAccount: "The account may not spend.",
    IdempotencyConflict: "The Idempotency-Key belongs to another request, or to one that is being worked on.",
    CreditsUnavailable: "Credits cannot be booked at the moment.",
}


def document(schema: dict[str, Any]) -> dict[str, Any]:
    """Add the answers, in place. Doing it twice changes nothing."""
    for operation in _operations(schema):
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        if any(BEARER in needed for needed in operation.get("security", ())):
            schemas["Problem"] = _PROBLEM
            _add(operation, NotAuthenticated, "Problem")
        if _spends(operation):
            schemas["Denial"] = _DENIAL
            _add(operation, InsufficientCredits, "Denial")
            for kind in (NoAccount, IdempotencyConflict, CreditsUnavailable):
                _add(operation, kind, "Problem")
    return schema


def _operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in schema.get("paths", {}).values():
        for operation in path.values():
            if isinstance(operation, dict):
                yield operation


def _spends(operation: dict[str, Any]) -> bool:
    return any(MARK.items() <= parameter.get("schema", {}).items() for parameter in operation.get("parameters", ()))


def _add(operation: dict[str, Any], kind: type[Any], schema: str) -> None:
    operation["responses"].setdefault(
        str(HTTPStatus(kind.status).value),
        {"description": _WHY[kind], "content": {MEDIA_TYPE: {"schema": {"$ref": f"{_REF}{schema}"}}}},
    )
