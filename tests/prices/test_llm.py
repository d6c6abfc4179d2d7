"""What the SDKs' own types report is what is charged: disjoint quantities, streams and thoughts included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from anthropic.types import Message, MessageDeltaUsage, RawMessageDeltaEvent, RawMessageStartEvent, Usage
from anthropic.types.raw_message_delta_event import Delta
from google.genai.types import GenerateContentResponse
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from sonas_supabase.prices import LlmStream, UnknownResponse, meter_llm

CHAT_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 300,
    "total_tokens": 1300,
    "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 120, "audio_tokens": 20},
}
CHAT = {"input": 500, "cache_read": 400, "input_audio": 100, "output": 280, "output_audio": 20}


def message(**usage: Any) -> Message:
    return Message.construct(
        id="m", model="claude-sonnet-5", role="assistant", type="message", content=[], usage=Usage.construct(**usage)
    )


def chunk(usage: dict[str, Any] | None) -> ChatCompletionChunk:
    return ChatCompletionChunk.model_validate(
        {"id": "c", "created": 1, "model": "gpt-5", "object": "chat.completion.chunk", "choices": [], "usage": usage}
    )


def test_openai_chat_completions() -> None:
    response = ChatCompletion.construct(id="c", model="gpt-5", usage=CompletionUsage.model_validate(CHAT_USAGE))
    usage = meter_llm(response)
    assert (usage.operation, usage.quantities, usage.reasoning) == ("openai/gpt-5", CHAT, 120)
    assert usage.folded({"input", "output"}).quantities == {"input": 1000, "output": 300}


def test_openai_responses() -> None:
    response = Response.construct(
        id="r",
        model="gpt-5",
        usage={
            "input_tokens": 1000,
            "input_tokens_details": {"cached_tokens": 900},
            "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 40},
            "total_tokens": 1050,
        },
    )
    usage = meter_llm(response, model="gpt-5-mini")
    assert (usage.operation, usage.quantities) == ("openai/gpt-5-mini", {"input": 100, "cache_read": 900, "output": 50})
    assert usage.reasoning == 40


def test_anthropic_messages_report_what_was_cached_beside_the_input() -> None:
    usage = meter_llm(
        message(
            input_tokens=10,
            output_tokens=20,
            cache_read_input_tokens=500,
            cache_creation_input_tokens=300,
            cache_creation={"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            server_tool_use={"web_search_requests": 2},
        )
    )
    assert usage.operation == "anthropic/claude-sonnet-5"
    assert usage.quantities == {
        "input": 10, "cache_read": 500, "cache_write": 100, "cache_write_1h": 200, "output": 20, "web_searches": 2
    }  # fmt: skip


def test_google_reports_thoughts_and_tools_beside_the_answer() -> None:
    response = GenerateContentResponse.model_validate(
        {
            "model_version": "gemini-3-pro",
            "usage_metadata": {
                "prompt_token_count": 1000,
                "cached_content_token_count": 600,
                "tool_use_prompt_token_count": 30,
                "candidates_token_count": 40,
                "thoughts_token_count": 160,
                "prompt_tokens_details": [
                    {"modality": "TEXT", "token_count": 800},
                    {"modality": "AUDIO", "token_count": 200},
                ],
                "cache_tokens_details": [{"modality": "AUDIO", "token_count": 50}],
            },
        }
    )
    usage = meter_llm(response)
    assert (usage.operation, usage.reasoning) == ("google/gemini-3-pro", 160)
    assert usage.quantities == {
        "input": 280,
        "cache_read": 550,
        "cache_read_audio": 50,
        "input_audio": 150,
        "output": 200,
    }


def test_a_stream_of_chat_completions_says_it_in_its_last_chunk() -> None:
    stream: LlmStream[ChatCompletionChunk] = meter_llm(iter([chunk(None), chunk(None), chunk(CHAT_USAGE)]))
    with pytest.raises(UnknownResponse, match="include_usage"):
        _ = stream.usage
    assert len(list(stream)) == 3
    assert stream.usage.quantities == CHAT


def events() -> Iterator[Any]:
    yield RawMessageStartEvent.construct(type="message_start", message=message(input_tokens=25, output_tokens=1))
    for total in (7, 15):
        yield RawMessageDeltaEvent.construct(
            type="message_delta", delta=Delta.construct(), usage=MessageDeltaUsage.construct(output_tokens=total)
        )


def test_a_stream_of_messages_reports_running_totals_and_breaks_half_way() -> None:
    stream = meter_llm(events())
    assert len(list(stream)) == 3
    assert stream.usage.quantities == {"input": 25, "output": 15}
    broken = meter_llm(events())
    for nth, _ in enumerate(broken):
        if nth == 1:
            break
    assert broken.usage.quantities == {"input": 25, "output": 7}


async def test_a_stream_may_be_asynchronous() -> None:
    async def chunks() -> Any:
        yield chunk(None)
        yield chunk(CHAT_USAGE)

    stream = meter_llm(chunks())
    assert [event.usage is None async for event in stream] == [True, False]
    assert stream.usage.quantities == CHAT


def read_all(response: Any) -> None:
    stream = meter_llm(response)
    list(stream)
    _ = stream.usage


@pytest.mark.parametrize("wrong", [{"id": "x"}, "text", ChatCompletion.construct(id="c", model="gpt-5"), 5], ids=repr)
def test_what_reports_nothing_is_refused_and_never_free(wrong: Any) -> None:
    with pytest.raises(UnknownResponse):
        read_all(wrong)


def test_parts_that_are_more_than_the_whole_are_refused() -> None:
    usage = {**CHAT_USAGE, "prompt_tokens": 100}
    with pytest.raises(UnknownResponse, match="more parts"):
        meter_llm({"model": "gpt-5", "usage": usage})
