"""What a model's answer used: the usage that the SDKs of OpenAI, Anthropic and Google report, as quantities of prices.

The quantities are disjoint: `input` is what was neither read from a cache nor written into one. Reasoning is output, as
the providers charge it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Event = TypeVar("Event")

_PARENTS = {
    "cache_write_1h": "cache_write",
    "cache_write": "input",
    "cache_read_audio": "cache_read",
    "cache_read": "input",
    "input_audio": "input",
    "output_audio": "output",
}


class UnknownResponse(TypeError):
    """What was passed reports no usage that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmUsage:
    """What a call of a model used.

    ``operation`` is `provider/model`; ``quantities`` are tokens by dimension, without those that are 0; ``reasoning``
    is how many of the output tokens were thought and not said.
    """

    provider: str
    model: str
    quantities: Mapping[str, int]
    reasoning: int = 0

    @property
    def operation(self) -> str:
        return f"{self.provider}/{self.model}"

    def folded(self, dimensions: Collection[str]) -> LlmUsage:
        """The same with only these dimensions: tokens of another one count as what they are a kind of."""
        folded: dict[str, int] = {}
        for name, amount in self.quantities.items():
            kept = name
            while kept not in dimensions and kept in _PARENTS:
                kept = _PARENTS[kept]
            folded[kept] = folded.get(kept, 0) + amount
        return LlmUsage(provider=self.provider, model=self.model, quantities=folded, reasoning=self.reasoning)


def meter_llm(response: Any, *, provider: str | None = None, model: str | None = None) -> Any:
    """What a response used (an LlmUsage); of a stream the stream again (an LlmStream), whose ``usage`` says it.

    ``provider`` and ``model`` name the operation where the response does not, or differently than the price book.
    A stream of OpenAI's chat completions reports its usage only with `stream_options={"include_usage": True}`.

    Raises:
        UnknownResponse: it is of none of the SDKs, or reports no usage.
    """
    if not _reports(response) and any(hasattr(response, name) for name in ("__iter__", "__aiter__")):
        return LlmStream(response, provider=provider, model=model)
    seen = _Seen(provider, model)
    seen.add(response)
    return seen.usage()


@dataclass
class LlmStream(Generic[Event]):
    """A stream of events that is handed on as it is. ``usage`` is what it has used as far as it was read."""

    events: Any
    provider: str | None = None
    model: str | None = None
    _seen: _Seen = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._seen = _Seen(self.provider, self.model)

    def __iter__(self) -> Iterator[Event]:
        for event in self.events:
            self._seen.add(event)
            yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        async for event in self.events:
            self._seen.add(event)
            yield event

    @property
    def usage(self) -> LlmUsage:
        """What was used.

        Raises:
            UnknownResponse: nothing that was read has said so.
        """
        return self._seen.usage()


def _reports(response: Any) -> bool:
    return any(_get(response, name) is not None for name in ("usage", "usage_metadata"))


class _Seen:
    """What the events of one call have reported. Later reports of a number count, since they are running totals."""

    def __init__(self, provider: str | None, model: str | None) -> None:
        self.provider = provider
        self.model = model
        self.reported: dict[str, Any] = {}
        self.kind: str | None = None

    def add(self, event: Any) -> None:
        # Anthropic's first event has the message, OpenAI's last one the response.
        for holder in (_get(event, "message"), _get(event, "response"), event):
            if holder is None:
                continue
            model = _get(holder, "model") or _get(holder, "model_version")
            if isinstance(model, str) and self.model is None:
                self.model = model
            usage = _get(holder, "usage")
            metadata = _get(holder, "usage_metadata")
            if usage is not None:
                self._add(usage, holder)
            elif metadata is not None:
                self.kind = "google"
                self._merge(metadata)

    def _add(self, usage: Any, holder: Any) -> None:
        if _get(usage, "prompt_tokens") is not None:
            self.kind = "chat"
        elif _get(usage, "input_tokens_details") is not None or _get(usage, "total_tokens") is not None:
            self.kind = "responses"
        elif _get(usage, "output_tokens") is not None or _get(usage, "input_tokens") is not None:
            self.kind = "anthropic"
        else:
            return
        self._merge(usage)

    def _merge(self, report: Any) -> None:
        values = report if isinstance(report, Mapping) else _fields(report)
        self.reported |= {name: value for name, value in values.items() if value is not None}

    def usage(self) -> LlmUsage:
        if self.kind is None:
            raise UnknownResponse(
                "It reports no usage. Pass a response of the SDK of OpenAI, Anthropic or Google, or a stream that was "
                "read to its end (OpenAI's chat completions need stream_options={'include_usage': True})."
            )
        if not self.model:
            raise UnknownResponse("It does not say which model has answered. Pass model=….")
        counts, reasoning = _READERS[self.kind](self.reported)
        if min(counts.values(), default=0) < 0:
            raise UnknownResponse(f"It reports more parts than the whole: {self.reported!r}")
        provider = self.provider or {"chat": "openai", "responses": "openai"}.get(self.kind, self.kind)
        return LlmUsage(
            provider=provider,
            model=self.model.removeprefix("models/"),
            quantities={name: count for name, count in counts.items() if count} or {"input": 0},
            reasoning=reasoning,
        )


def _chat(report: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    return _openai(
        _count(report, "prompt_tokens"),
        _count(report, "completion_tokens"),
        report.get("prompt_tokens_details"),
        report.get("completion_tokens_details"),
    )


def _responses(report: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    return _openai(
        _count(report, "input_tokens"),
        _count(report, "output_tokens"),
        report.get("input_tokens_details"),
        report.get("output_tokens_details"),
    )


def _openai(total_in: int, total_out: int, details_in: Any, details_out: Any) -> tuple[dict[str, int], int]:
    """Both totals have their parts in them."""
    read, audio_in = _count(details_in, "cached_tokens"), _count(details_in, "audio_tokens")
    written, audio_out = _count(details_in, "cache_write_tokens"), _count(details_out, "audio_tokens")
    return {
        "input": total_in - read - written - audio_in,
        "cache_read": read,
        "cache_write": written,
        "input_audio": audio_in,
        "output": total_out - audio_out,
        "output_audio": audio_out,
    }, _count(details_out, "reasoning_tokens")


def _anthropic(report: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Input has no cached tokens in it; what was written for an hour is a part of what was written."""
    written = _count(report, "cache_creation_input_tokens")
    hour = _count(report.get("cache_creation"), "ephemeral_1h_input_tokens")
    return {
        "input": _count(report, "input_tokens"),
        "cache_read": _count(report, "cache_read_input_tokens"),
        "cache_write": written - hour,
        "cache_write_1h": hour,
        "output": _count(report, "output_tokens"),
        "web_searches": _count(report.get("server_tool_use"), "web_search_requests"),
    }, _count(report.get("output_tokens_details"), "thinking_tokens")


def _google(report: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """The prompt has what was cached in it; thoughts and the results of tools stand beside it."""
    read = _count(report, "cached_content_token_count")
    audio = _of_modality(report.get("prompt_tokens_details"), "AUDIO")
    audio_read = _of_modality(report.get("cache_tokens_details"), "AUDIO")
    audio_out = _of_modality(report.get("candidates_tokens_details") or report.get("response_tokens_details"), "AUDIO")
    said = _count(report, "candidates_token_count") or _count(report, "response_token_count")
    thoughts = _count(report, "thoughts_token_count")
    fresh_audio = max(0, audio - audio_read)
    return {
        "input": _count(report, "prompt_token_count")
        - read
        - fresh_audio
        + _count(report, "tool_use_prompt_token_count"),
        "cache_read": read - audio_read,
        "cache_read_audio": audio_read,
        "input_audio": fresh_audio,
        "output": said - audio_out + thoughts,
        "output_audio": audio_out,
    }, thoughts


_READERS = {"chat": _chat, "responses": _responses, "anthropic": _anthropic, "google": _google}


def _of_modality(details: Any, modality: str) -> int:
    return sum(
        _count(item, "token_count")
        for item in details or ()
        if str(getattr(_get(item, "modality"), "value", _get(item, "modality"))) == modality
    )


def _fields(report: Any) -> Mapping[str, Any]:
    declared = getattr(type(report), "model_fields", None) or vars(report)
    return {name: getattr(report, name, None) for name in declared}


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _count(value: Any, name: str) -> int:
    found = _get(value, name) if value is not None else None
    return found if isinstance(found, int) and not isinstance(found, bool) else 0
