"""Flask: a denial is a problem document, and a view that is decorated costs credits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask, Response, abort, redirect, request
from flask.testing import FlaskClient

from sonas_supabase import CreditsClient, CreditsUnavailable, Hold
from sonas_supabase.flask import FlaskCredits, ViewHold, WrongDeclaration
from tests.support.database import Database


@pytest.fixture(scope="module")
def client(database: Database) -> Iterator[FlaskClient]:
    app = Flask(__name__)
    engine = sa.create_engine(database.url.replace("postgresql://", "postgresql+psycopg://", 1))
    with CreditsClient.from_url(database.url) as calls:
        credits = FlaskCredits(calls, user=lambda: request.headers["user"])
        credits.init_app(app)

        @app.post("/chat")
        @credits.spend("message", 5)
        def chat(hold: Hold) -> str:
            if "cost" in request.args:
                hold.capture(int(request.args["cost"]))
            return "done"

        @app.post("/ends/<int:status>")
        @credits.spend("message", 5)
        def ends(hold: Hold, status: int) -> Response:
            if request.args:
                hold.capture(2)
            return Response("done", status) if status != 302 else redirect("/chat")  # type: ignore[return-value]

        @app.post("/breaks")
        @credits.spend("message", 5)
        def breaks(hold: Hold) -> str:
            raise ZeroDivisionError

        @app.post("/by-length")
        @credits.spend("message", lambda: len(request.data))
        def by_length(hold: Hold) -> str:
            return "done"

        @app.post("/says/<what>")
        @credits.spend("message", lambda: int(request.args.get("amount", 5)), charge="on_start", at_least=1)
        @credits.spend("project", lambda: int(request.args.get("projects", 0)))
        def says(what: str, hold: ViewHold) -> str:
            # The inner one is given; the outer one is in the arguments of nobody.
            return what

        @app.post("/one/<what>")
        @credits.spend("message", lambda: int(request.args.get("amount", 5)))
        def one(what: str, hold: ViewHold) -> Response:
            if what == "captures and fails":
                hold.capture(2)
                raise ZeroDivisionError
            if what == "captures in parts":
                hold.capture(1, final=False)
                hold.capture(1, final=False)
            if what == "captures, then adds":
                hold.capture(2)
                hold.add(2)
            if what == "captures, then costs less":
                hold.capture(4)
                hold.cost = 1
            if what == "releases":
                hold.release()
            if what == "hands over":
                return Response(hold.detach())
            if what == "costs more":
                hold.cost = 13
            if what == "has expired":
                user = request.headers["user"]
                database.call("mark_test_account", user)
                database.call("set_test_clock", user, datetime.now(UTC) + timedelta(hours=1))
                hold.cost = 3
            if what == "is closed meanwhile":
                database.call("freeze_account", request.headers["user"], reason="abuse")
            if what == "costs free":
                hold.cost = 2
            return Response("done")

        @app.post("/by-hand")
        def by_hand() -> str:
            calls.consume_credits(request.headers["user"], "message", 11)
            return "never"

        @app.post("/away")
        def away() -> str:
            raise CreditsUnavailable("password of the database is wrong")

        @app.post("/own-statement/<kind>")
        def own_statement(kind: str) -> str:
            strict = f"select public.consume_credits('{request.headers['user']}', 'message', 11, p_strict => true)"
            if kind == "sqlalchemy":
                with engine.connect() as own:
                    own.execute(sa.text(strict))
            with psycopg.connect(database.url) as connection:
                try:
                    connection.execute(strict if kind != "mistake" else b"select nonsense")
                except psycopg.Error as error:
                    if kind == "made-a-404":
                        abort(404)
                    if kind == "handled":
                        raise LookupError from error
                    raise
            return "never"

        app.register_error_handler(LookupError, lambda error: ("handled", 410))
        yield app.test_client()
    engine.dispose()


def test_a_denial_is_a_problem_document(client: FlaskClient, database: Database, user: UUID) -> None:
    for path, required in (("/by-hand", 11), ("/chat", 5)):
        answer = client.post(path, headers={"user": str(user)})
        assert (answer.status_code, answer.content_type) == (402, "application/problem+json")
        assert answer.json is not None
        assert (answer.json["code"], answer.json["required"]) == ("insufficient_credits", required)
        database.call("consume_credits", user, "message", 6) if path == "/by-hand" else None
    assert database.balance(user)["used"] == 6


@pytest.mark.parametrize(
    ("kind", "status"), [("psycopg", 402), ("sqlalchemy", 402), ("made-a-404", 404), ("handled", 410), ("mistake", 500)]
)
def test_a_denial_of_a_statement_of_the_views_own_is_one_too(
    client: FlaskClient, user: UUID, kind: str, status: int
) -> None:
    answer = client.post(f"/own-statement/{kind}", headers={"user": str(user)})
    assert answer.status_code == status
    if status == 402:
        assert answer.json is not None
        assert (answer.json["code"], answer.json["available"]) == ("insufficient_credits", 10)


def test_why_the_database_is_away_is_not_the_clients_business(client: FlaskClient) -> None:
    answer = client.post("/away")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert b"password" not in answer.data


def test_an_amount_may_be_worked_out_for_each_request(client: FlaskClient, database: Database, user: UUID) -> None:
    client.post("/by-length", headers={"user": str(user)}, data=b"four")
    assert database.balance(user)["used"] == 4


@pytest.mark.parametrize(
    ("path", "used"),
    [("/chat", 5), ("/chat?cost=2", 2), ("/ends/201", 5), ("/ends/302", 0), ("/ends/404", 0), ("/ends/404?cost", 2),
     ("/ends/500", 0), ("/breaks", 0)],
)  # fmt: skip
def test_what_a_view_costs(client: FlaskClient, database: Database, user: UUID, path: str, used: int) -> None:
    client.post(path, headers={"user": str(user)})
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (used, 0)
    database.verify(user)


@pytest.mark.parametrize(
    ("path", "used"),
    [("captures and fails", 0), ("captures in parts", 2), ("captures, then adds", 4), ("captures, then costs less", 1),
     ("releases", 0), ("has expired", 3), ("costs free?amount=0", 2), ("nothing?amount=0", 0)],
)  # fmt: skip
def test_what_a_view_says_itself(client: FlaskClient, database: Database, user: UUID, path: str, used: int) -> None:
    client.post(f"/one/{path}", headers={"user": str(user)})
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (used, 0)
    database.verify(user)


def test_what_cannot_be_charged_is_on_record(client: FlaskClient, database: Database) -> None:
    for what, credits, used in (("costs more", 3, 10), ("is closed meanwhile", 5, 0)):
        user = database.new_user()
        assert client.post(f"/one/{what}", headers={"user": str(user)}).status_code == 200
        assert database.balance(user)["used"] == used
        (entry,) = database.call("list_uncollected", user)["rows"]
        assert entry["amount"] == credits


def test_a_hold_that_was_handed_over_is_left_alone(client: FlaskClient, database: Database, user: UUID) -> None:
    token = client.post("/one/hands over", headers={"user": str(user)}).text
    assert database.balance(user)["reserved"] == 5
    with CreditsClient.from_url(database.url) as calls, Hold.from_token(token, calls) as hold:
        hold.capture(2)
    assert database.balance(user)["used"] == 2


def test_a_view_gets_all_that_it_costs_or_nothing(client: FlaskClient, database: Database, user: UUID) -> None:
    """What was charged on start for a view that did not run is given back."""
    assert client.post("/says/never?projects=4", headers={"user": str(user)}).status_code == 402
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (0, 0)


@pytest.mark.parametrize(
    "wrong", [{"amount": -5}, {"amount": "5"}, {"charge": "hold"}, {"at_least": 6}, {"ttl_seconds": 10**9}]
)
def test_what_can_never_work_is_refused_where_it_is_declared(database: Database, wrong: dict[str, object]) -> None:
    with CreditsClient.from_url(database.url) as calls:
        credits = FlaskCredits(calls, user=lambda: "nobody")
        with pytest.raises(WrongDeclaration):
            credits.spend("message", **({"amount": 5} | wrong))  # type: ignore[arg-type]


def test_without_init_app_the_decorator_settles_by_itself(database: Database) -> None:
    app = Flask(__name__)
    with CreditsClient.from_url(database.url) as calls:
        credits = FlaskCredits(calls, user=lambda: request.headers["user"])

        @app.post("/<what>")
        @credits.spend("message", 5)
        def view(what: str, hold: ViewHold) -> object:
            if what == "fails":
                raise ZeroDivisionError
            if what == "streams":
                return (str(hold.add()) for _ in range(3))  # type: ignore[func-returns-value]
            return abort(404) if what == "refuses" else "done"

        for what, used in (("done", 5), ("streams", 3), ("fails", 0), ("refuses", 0)):
            user = database.new_user()
            _ = app.test_client().post(f"/{what}", headers={"user": str(user)}).data
            balance = database.balance(user)
            assert (balance["used"], balance["reserved"]) == (used, 0), what
