"""The ``Idempotency-Key`` header: one run for each key, and its answer for whoever sends the request again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import BackgroundTasks, Body, Depends, FastAPI, HTTPException, Request, Response, UploadFile
from fastapi.responses import StreamingResponse

from sonas_supabase.fastapi import Spend, spend
from sonas_supabase.fastapi._answers import Run
from tests.fastapi.support import OneMessage, add_routes, bearer, calling, make_app, make_credits, until
from tests.http.support import lapse
from tests.support.database import Database

ByHold = Annotated[Spend, Depends(spend("message", 3))]
ByCost = Annotated[Spend, Depends(spend("message", 3, charge="cost"))]
OnStart = Annotated[Spend, Depends(spend("message", 3, charge="on_start"))]


async def never_says(run: Run, say: object) -> None:
    run._heartbeat.stop()


class Mood:
    """What the next requests of a user come to."""

    def __init__(self) -> None:
        self.failures: dict[UUID, int] = {}
        self.ran: Counter[UUID] = Counter()
        self.reached = asyncio.Event()
        self.open = asyncio.Event()


@pytest_asyncio.fixture(scope="module")
async def mood() -> Mood:
    return Mood()


@pytest_asyncio.fixture(scope="module")
async def http(database: Database, mood: Mood) -> AsyncIterator[httpx.AsyncClient]:
    credits = make_credits(database.url)
    app: FastAPI = make_app(credits)
    add_routes(app)

    @app.post("/counted")
    async def counted(held: OneMessage, response: Response) -> dict[str, Any]:
        mood.ran[held.user.id] += 1
        await asyncio.sleep(0.05)
        response.headers["location"] = "/things/1"
        response.headers["x-made-by"] = "worker 7"
        response.set_cookie("session", "secret")
        response.status_code = 201
        return {"run": mood.ran[held.user.id], "operation": str(held.operation_id)}

    async def at_a_cost(held: Spend, background: BackgroundTasks, cost: int | None, then: int | None) -> None:
        mood.ran[held.user.id] += 1
        if cost is not None:
            held.cost = cost
        if then is not None:
            background.add_task(setattr, held, "cost", then)

    @app.post("/mode/held")
    async def by_hold(
        held: ByHold, background: BackgroundTasks, cost: int | None = None, then: int | None = None
    ) -> None:
        await at_a_cost(held, background, cost, then)

    @app.post("/mode/cost")
    async def by_cost(
        held: ByCost, background: BackgroundTasks, cost: int | None = None, then: int | None = None
    ) -> None:
        await at_a_cost(held, background, cost, then)

    @app.post("/mode/on_start")
    async def on_start(
        held: OnStart, background: BackgroundTasks, cost: int | None = None, then: int | None = None
    ) -> None:
        await at_a_cost(held, background, cost, then)

    @app.post("/big/{size}")
    async def big(size: int, held: OneMessage) -> Response:
        mood.ran[held.user.id] += 1
        return StreamingResponse(iter([b"x" * 1000] * (size // 1000)), media_type="text/plain")

    @app.post("/breaks")
    async def breaks(held: OneMessage) -> Response:
        mood.ran[held.user.id] += 1

        async def parts() -> AsyncIterator[bytes]:
            yield b"1"
            if mood.ran[held.user.id] == 1:
                raise ZeroDivisionError

        return StreamingResponse(parts())

    @app.post("/refuses/{status}")
    async def refuses(status: int, held: OneMessage) -> Response:
        mood.ran[held.user.id] += 1
        return Response(None if status in (204, 304) else f"run {mood.ran[held.user.id]}", status)

    @app.post("/upload")
    async def upload(held: OneMessage, file: UploadFile) -> int:
        mood.ran[held.user.id] += 1
        return len(await file.read())

    @app.post("/json")
    async def json(held: OneMessage, text: Annotated[str, Body(embed=True)]) -> int:
        mood.ran[held.user.id] += 1
        return len(text)

    @app.post("/unsteady")
    async def unsteady(held: OneMessage) -> bool:
        if mood.failures.get(held.user.id, 0) > 0:
            mood.failures[held.user.id] -= 1
            raise HTTPException(500)
        return held.replayed

    @app.post("/slow")
    async def slow(held: OneMessage) -> str:
        mood.reached.set()
        await mood.open.wait()
        return "done"

    @app.post("/payer")
    async def payer(
        held: Annotated[Spend, Depends(spend("message", 1, workspace=lambda request: request.headers.get("team")))],
    ) -> str:
        return "done"

    @app.post("/raw")
    async def raw(request: Request, held: OneMessage) -> int:
        return len(await request.body())

    @app.post("/item/{number}")
    async def item(number: int, held: OneMessage, text: Annotated[str, Body()] = "") -> int:
        return number

    async with calling(app) as client:
        yield client
    await credits.client.close()


def keyed(user: UUID, key: str) -> dict[str, str]:
    return {**bearer(user), "idempotency-key": key}


async def test_a_retry_costs_once(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    answers = [await http.post("/one", headers=keyed(user, "k")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.content for answer in answers}) == 1
    assert ["idempotency-replayed" in answer.headers for answer in answers] == [False, True, True]
    assert database.balance(user)["used"] == 1
    database.verify(user)


async def test_a_retry_says_no_balance_of_long_ago(http: httpx.AsyncClient, user: UUID) -> None:
    assert "ratelimit" in (await http.post("/one", headers=keyed(user, "k"))).headers
    assert "ratelimit" not in (await http.post("/one", headers=keyed(user, "k"))).headers


async def test_a_retry_of_the_last_credit_is_not_denied(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    database.call("consume_credits", user, "message", 9)
    assert (await http.post("/one", headers=keyed(user, "k"))).status_code == 200
    assert (await http.post("/one", headers=keyed(user, "k"))).status_code == 200
    assert (await http.post("/one", headers=keyed(user, "other"))).status_code == 402


async def test_quotation_marks_make_no_other_key(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    await http.post("/one", headers=keyed(user, "k"))
    await http.post("/one", headers=keyed(user, '"k"'))
    assert database.balance(user)["used"] == 1


async def test_keys_are_apart_by_user_route_and_name(
    http: httpx.AsyncClient, database: Database, new_user: Callable[[], UUID]
) -> None:
    first, second = new_user(), new_user()
    for user in (first, second):
        for path in ("/item/1", "/item/2"):
            for key in ("a", "b", "x" * 3000):
                assert (await http.post(path, headers=keyed(user, key), json="")).status_code == 200
        assert database.balance(user)["used"] == 6


async def test_without_a_key_every_request_costs(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    for _ in range(2):
        await http.post("/one", headers=keyed(user, ""))
        await http.post("/one", headers=bearer(user))
    assert database.balance(user)["used"] == 4


async def test_a_failed_request_may_be_sent_again(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    mood.failures[user] = 3
    statuses = [(await http.post("/unsteady", headers=keyed(user, "k"))).status_code for _ in range(5)]
    assert statuses == [500, 500, 500, 200, 200]
    assert database.balance(user)["used"] == 1
    database.verify(user)


async def test_another_body_under_the_same_key_is_refused(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    assert (await http.post("/body", headers=keyed(user, "k"), json={"text": "a"})).status_code == 200
    answer = await http.post("/body", headers=keyed(user, "k"), json={"text": "b"})
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    query = await http.post("/body?other=1", headers=keyed(user, "k"), json={"text": "a"})
    assert query.status_code == 409
    assert database.balance(user)["used"] == 1


async def test_a_key_belongs_to_the_account_that_pays(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    database.run("update credits.settings set workspace_credits = 'free'")
    team = database.value("insert into public.credit_workspaces (name) values ('team') returning account_id")
    other = database.new_user()
    for member in (user, other):
        database.run("insert into public.credit_workspace_members (account_id, user_id) values (%s, %s)", team, member)
    database.run("select credits.open_account(%s, 'workspace')", team)
    paid_by_team = {"team": str(team)}
    # Of an account that several persons use, each has answers of its own.
    for person, headers in ((user, {}), (user, paid_by_team), (other, paid_by_team)):
        for replayed in (None, "true"):
            answer = await http.post("/payer", headers=keyed(person, "k") | headers)
            assert (answer.status_code, answer.headers.get("idempotency-replayed")) == (200, replayed)
    assert (database.balance(user)["used"], database.balance(team)["used"]) == (1, 2)


async def test_a_handler_can_still_read_the_body(http: httpx.AsyncClient, user: UUID) -> None:
    for size in (0, 10, 3_000_000):
        pieces = [b"x" * min(size, 65_536)] * max(size // 65_536, 1) if size else []

        async def body(pieces: list[bytes] = pieces) -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        answer = await http.post("/raw", headers=keyed(user, str(size)), content=body())
        assert answer.json() == sum(map(len, pieces))
        whole = await http.post("/raw", headers=keyed(user, str(size)), content=b"".join(pieces))
        assert whole.status_code == 200, "the same body in other pieces is the same request"


async def test_a_form_that_is_sent_again_is_the_same_request(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    for _ in range(2):
        boundary = uuid4().hex
        headers = {**keyed(user, "k"), "content-type": f"multipart/form-data; boundary={boundary}"}
        content = f'--{boundary}\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--{boundary}--\r\n'
        assert (await http.post("/raw", headers=headers, content=content)).status_code == 200
    assert database.balance(user)["used"] == 1


async def test_a_repeat_waits_for_the_first_as_long_as_its_client_would(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    first = asyncio.create_task(http.post("/slow", headers=keyed(user, "k")))
    await mood.reached.wait()
    waits = asyncio.create_task(http.post("/slow", headers=keyed(user, "k")))
    second = await http.post("/slow", headers=keyed(user, "k") | {"prefer": "respond-async, wait=0"})
    assert (second.status_code, second.json()["code"]) == (409, "request_in_progress")
    assert second.headers["retry-after"] == "1"
    mood.open.set()
    assert (await first).json() == (await waits).json() == "done"
    assert (await http.post("/slow", headers=keyed(user, "k"))).status_code == 200
    assert database.balance(user)["used"] == 1


async def test_many_at_a_time_cost_once(http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood) -> None:
    mood.failures[user] = 1
    for _ in range(3):
        answers = await asyncio.gather(*(http.post("/unsteady", headers=keyed(user, "k")) for _ in range(20)))
        assert {answer.status_code for answer in answers} <= {200, 409, 500}
    assert (await http.post("/unsteady", headers=keyed(user, "k"))).status_code == 200
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (1, 0)
    database.verify(user)


async def test_twenty_at_once_run_once_and_all_get_its_answer(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    answers = await asyncio.gather(*(http.post("/counted", headers=keyed(user, "k")) for _ in range(20)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert sorted("idempotency-replayed" in answer.headers for answer in answers) == [False] + [True] * 19
    assert mood.ran[user] == 1
    assert database.balance(user)["used"] == 1
    database.verify(user)


async def test_headers_that_matter_come_again_and_cookies_do_not(http: httpx.AsyncClient, user: UUID) -> None:
    first = await http.post("/counted", headers=keyed(user, "k"))
    again = await http.post("/counted", headers=keyed(user, "k"))
    assert (again.headers["location"], again.headers["content-type"]) == ("/things/1", "application/json")
    assert "set-cookie" in first.headers
    for name in ("set-cookie", "x-made-by", "ratelimit"):
        assert name not in again.headers


async def test_who_takes_the_credits_back_has_not_made_it_a_new_request(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    first = await http.post("/counted", headers=keyed(user, "k"))
    database.call("refund_credits", user, first.json()["operation"])
    again = await http.post("/counted", headers=keyed(user, "k"))
    assert again.json() == first.json()
    assert (mood.ran[user], database.balance(user)["used"]) == (1, 0)


@pytest.mark.parametrize(("size", "status"), [(16_000, 200), (17_000, 409)])
async def test_an_answer_that_is_too_big_is_given_once(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood, size: int, status: int
) -> None:
    assert len((await http.post(f"/big/{size}", headers=keyed(user, "k"))).content) == size
    again = await http.post(f"/big/{size}", headers=keyed(user, "k"))
    assert again.status_code == status
    if status == 409:
        assert again.json()["code"] == "answer_not_stored"
    else:
        assert len(again.content) == size
    assert (mood.ran[user], database.balance(user)["used"]) == (1, 1)


async def test_a_stream_that_broke_may_be_sent_again(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    await http.post("/breaks", headers=keyed(user, "k"))
    assert (await http.post("/breaks", headers=keyed(user, "k"))).content == b"1"
    assert (await http.post("/breaks", headers=keyed(user, "k"))).headers["idempotency-replayed"] == "true"
    assert (mood.ran[user], database.balance(user)["used"]) == (2, 1)


@pytest.mark.parametrize(("status", "runs"), [(404, 1), (422, 1), (303, 1), (402, 3), (500, 3), (503, 3)])
async def test_what_the_handler_decides_is_kept_but_for_denials_and_failures(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood, status: int, runs: int
) -> None:
    answers = [await http.post(f"/refuses/{status}", headers=keyed(user, "k")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status] * 3
    assert mood.ran[user] == runs
    assert database.balance(user)["used"] == 0


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_content_has_no_length_either(http: httpx.AsyncClient, user: UUID, status: int) -> None:
    for _ in range(2):
        answer = await http.post(f"/refuses/{status}", headers=keyed(user, "k"))
        assert answer.status_code == status
        assert "content-length" not in answer.headers
    assert answer.headers["idempotency-replayed"] == "true"


async def test_a_denial_does_not_use_the_key_up(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    spent = database.call("consume_credits", user, "message", 10)
    assert (await http.post("/counted", headers=keyed(user, "k"))).status_code == 402
    database.call("refund_credits", user, spent["operation_id"])
    assert (await http.post("/counted", headers=keyed(user, "k"))).status_code == 201
    assert (mood.ran[user], database.balance(user)["used"]) == (1, 1)


async def test_another_file_is_another_request(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    def file(content: bytes) -> dict[str, Any]:
        return {"files": {"file": ("name", content)}}

    big = b"x" * 3_000_000
    assert (await http.post("/upload", headers=keyed(user, "k"), **file(big))).json() == len(big)
    assert (await http.post("/upload", headers=keyed(user, "k"), **file(big))).json() == len(big), "the same again"
    for other in (b"other", big[:-1] + b"y", big + b"x", b""):
        answer = await http.post("/upload", headers=keyed(user, "k"), **file(other))
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert (mood.ran[user], database.balance(user)["used"]) == (1, 1)


async def test_json_that_differs_late_is_another_request(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    text = "x" * 2_000_000
    assert (await http.post("/json", headers=keyed(user, "k"), json={"text": text + "a"})).status_code == 200
    assert (await http.post("/json", headers=keyed(user, "k"), json={"text": text + "b"})).status_code == 409
    assert (mood.ran[user], database.balance(user)["used"]) == (1, 1)


async def test_failures_under_one_key_cost_no_more_each_time_and_end(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    mood.failures[user] = 60
    seconds = []
    for _ in range(60):
        began = time.perf_counter()
        assert (await http.post("/unsteady", headers=keyed(user, "k"))).status_code == 500
        seconds.append(time.perf_counter() - began)
    assert (await http.post("/unsteady", headers=keyed(user, "k"))).status_code == 200
    assert sorted(seconds[40:])[10] < 4 * sorted(seconds[:20])[10]
    assert database.balance(user)["used"] == 1
    calls = "select count(*) from public.credit_reservations where account_id = %s"
    assert database.value(calls, user) == 61, "one hold for each"


@pytest.mark.parametrize("cost", [None, 0, 1, 3, 4])
@pytest.mark.parametrize("mode", ["held", "cost", "on_start"])
async def test_a_server_that_died_is_followed_by_one_that_goes_on(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood, mode: str, cost: int | None
) -> None:
    path = f"/mode/{mode}" + ("" if cost is None else f"?cost={cost}")
    with pytest.MonkeyPatch.context() as patch:
        # It is killed after the charge and before the answer is stored: nobody says what came of the claim.
        patch.setattr(Run, "_end", never_says)
        await http.post(path, headers=keyed(user, "k"))
    charged = database.balance(user)["used"]
    lines = "select count(*) from public.credit_transactions where account_id = %s"
    written = database.value(lines, user)
    lapse(database, user)
    assert (await http.post(path, headers=keyed(user, "k"))).status_code == 200
    assert (mood.ran[user], database.balance(user)["used"]) == (2, charged), "it runs again, and is paid for once"
    assert database.value(lines, user) == written, "nothing is charged and given back once more"
    assert (await http.post(path, headers=keyed(user, "k"))).headers["idempotency-replayed"] == "true"
    database.verify(user)


@pytest.mark.parametrize("mode", ["held", "on_start"])
@pytest.mark.parametrize(("first", "then"), [(4, 0), (4, 2), (5, 1), (0, 3), (1, 2), (3, 0), (2, 5)])
async def test_the_last_word_on_the_cost_counts(
    http: httpx.AsyncClient, database: Database, user: UUID, mode: str, first: int, then: int
) -> None:
    await http.post(f"/mode/{mode}?cost={first}&then={then}", headers=keyed(user, "k"))
    assert database.balance(user)["used"] == then
    database.verify(user)


async def test_after_a_day_a_key_is_a_new_request(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    await http.post("/counted", headers=keyed(user, "k"))
    database.run("update credits.stored_answers set expires_at = clock_timestamp() where account_id = %s", user)
    await http.post("/counted", headers=keyed(user, "k"))
    assert (mood.ran[user], database.balance(user)["used"]) == (2, 2)


async def test_a_client_that_hung_up_gets_its_answer_later(
    http: httpx.AsyncClient, database: Database, user: UUID, mood: Mood
) -> None:
    request = asyncio.create_task(http.post("/counted", headers=keyed(user, "k")))
    await until(lambda: mood.ran[user] == 1)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    # The server was cancelled here as well, which is its own failure: the run has to be made again, and is charged.
    assert (await http.post("/counted", headers=keyed(user, "k"))).status_code == 201
    assert database.balance(user)["used"] == 1


async def test_both_credits_of_a_retry_cost_once(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    for _ in range(2):
        assert (await http.post("/both", headers=keyed(user, "k"))).status_code == 200
    assert [database.balance(user, name)["used"] for name in ("message", "project")] == [1, 1]
