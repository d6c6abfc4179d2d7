"""A call is a span where OpenTelemetry is installed, and says nothing about who called."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sonas_supabase import AsyncCreditsClient, CreditsClient, InsufficientCredits, ReservationNotFound, observe
from tests.support.database import Database


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """An SDK of this test's own; the one of the process can be set only once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


@pytest.fixture
def client(database: Database) -> Iterator[CreditsClient]:
    with CreditsClient.from_url(database.url) as made:
        yield made


def told(span: ReadableSpan) -> tuple[str, object, bool]:
    assert span.attributes is not None
    return span.name, span.attributes["credits.outcome"], span.status.is_ok or span.status.is_unset


async def test_every_call_is_a_span_with_its_outcome(
    exporter: InMemorySpanExporter, client: CreditsClient, database: Database, user: UUID
) -> None:
    client.consume_credits(user, "message", 10, description="private", idempotency_key="k", metadata={"a": "private"})
    with pytest.raises(InsufficientCredits):
        client.consume_credits(user, "message", 1)
    async with AsyncCreditsClient.from_url(database.url) as other:
        with pytest.raises(ReservationNotFound):
            await other.release_credits(user, user)
    spans = exporter.get_finished_spans()
    assert [told(span) for span in spans] == [
        ("credits.consume_credits", "ok", True),
        ("credits.consume_credits", "insufficient_credits", True),
        ("credits.release_credits", "reservation_not_found", False),
    ]
    assert {span.kind for span in spans} == {trace.SpanKind.CLIENT}
    assert dict(spans[0].attributes or {}) == {
        "credits.function": "consume_credits",
        "credits.credit_type": "message",
        "credits.amount": 10,
        "credits.outcome": "ok",
    }
    assert dict(spans[2].attributes or {}) == {
        "credits.function": "release_credits",
        "credits.outcome": "reservation_not_found",
        "error.type": "reservation_not_found",
    }
    # What an exception says may name somebody.
    assert [(span.events, span.status.description) for span in spans] == [((), None)] * 3
    everything = " ".join(span.to_json() for span in spans)
    assert str(user) not in everything
    assert "private" not in everything


def test_a_span_stands_inside_the_caller_s(exporter: InMemorySpanExporter, client: CreditsClient, user: UUID) -> None:
    with trace.get_tracer("app").start_as_current_span("request") as outer:
        client.check_credits(user, "message")
    inner = exporter.get_finished_spans()[0]
    assert inner.parent is not None
    assert inner.parent.span_id == outer.get_span_context().span_id


def test_without_opentelemetry_calls_are_the_same(
    monkeypatch: pytest.MonkeyPatch, client: CreditsClient, user: UUID
) -> None:
    monkeypatch.setattr(observe, "trace", None)
    seen: list[observe.ObservedCall] = []
    stop = observe.on_call(seen.append)
    try:
        assert client.consume_credits(user, "message", 1).success
    finally:
        stop()
    [call] = seen
    assert (call.function, call.credit_type, call.outcome, call.denied) == ("consume_credits", "message", "ok", False)


def test_a_listener_that_fails_does_not_make_a_spend_look_failed(
    client: CreditsClient, user: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def broken(call: observe.ObservedCall) -> None:
        raise RuntimeError("statsd is away")

    stops = [observe.on_call(broken), observe.on_call(lambda call: seen.append(call.outcome))]
    try:
        assert client.consume_credits(user, "message", 1).success
    finally:
        for stop in stops:
            stop()
    assert seen == ["ok"]
    assert "A listener of on_call failed" in caplog.text


async def test_a_call_that_nobody_waits_for_is_cancelled_not_failed(
    exporter: InMemorySpanExporter, database: Database, user: UUID
) -> None:
    # A lock that another connection holds keeps the call waiting for as long as the test wants.
    with database.connect(autocommit=False) as holder:
        holder.execute("select from credits.balances where account_id = %s for update", [user])
        async with AsyncCreditsClient.from_url(database.url) as client:
            spending = asyncio.create_task(client.consume_credits(user, "message", 1))
            while not database.value(  # noqa: ASYNC110 - the event is in another process
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            ):
                await asyncio.sleep(0)
            spending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await spending
    [span] = exporter.get_finished_spans()
    assert told(span)[:2] == ("credits.consume_credits", "cancelled")
