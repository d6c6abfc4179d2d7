"""The OpenAPI document says which routes need a user, which cost credits, and how they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from sonas_supabase.fastapi import spend
from tests.fastapi.support import add_routes, make_credits


@pytest.fixture
def document() -> dict[str, Any]:
    app = FastAPI()
    make_credits("postgresql://127.0.0.1:1/nothing").install(app)
    add_routes(app)
    router = APIRouter(prefix="/inner", dependencies=[Depends(spend("message"))])
    router.get("/route")(lambda: "done")
    app.include_router(router)
    app.get("/open")(lambda: "free of charge")
    app.openapi()
    return app.openapi()


def refusals(document: dict[str, Any], method: str, path: str) -> dict[str, str]:
    responses = document["paths"][path][method]["responses"]
    return {
        status: content["schema"]["$ref"].rpartition("/")[2]
        for status, response in responses.items()
        if (content := response.get("content", {}).get("application/problem+json"))
    }


SPENDS = {"401": "Problem", "402": "Denial", "403": "Problem", "409": "Problem", "503": "Problem"}


def test_routes_that_spend_say_how_they_refuse(document: dict[str, Any]) -> None:
    assert refusals(document, "post", "/one") == SPENDS
    assert refusals(document, "post", "/both") == SPENDS
    assert refusals(document, "get", "/inner/route") == SPENDS


def test_routes_that_need_a_user_say_so(document: dict[str, Any]) -> None:
    assert refusals(document, "get", "/me") == {"401": "Problem"}
    assert document["paths"]["/me"]["get"]["security"] == [{"Supabase": []}]
    assert document["components"]["securitySchemes"]["Supabase"]["scheme"] == "bearer"


def test_other_routes_are_left_alone(document: dict[str, Any]) -> None:
    assert refusals(document, "get", "/open") == {}
    assert "parameters" not in document["paths"]["/open"]["get"]


def test_the_key_is_a_header(document: dict[str, Any]) -> None:
    [header] = [each for each in document["paths"]["/both"]["post"]["parameters"] if each["in"] == "header"]
    assert (header["name"], header["required"]) == ("Idempotency-Key", False)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {"Problem", "Denial"} <= set(schemas)
    assert schemas["Denial"]["allOf"] == [{"$ref": "#/components/schemas/Problem"}]
