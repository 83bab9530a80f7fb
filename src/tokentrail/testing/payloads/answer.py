"""A model's answer, independent of any API."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tokentrail.testing.replies import Event, JsonObject, Step, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

UsageOn = Literal["none", "last", "every", "finish"]
"""Where a stream has usage: nowhere; with ``include_usage``, on a last event without a choice (the
others have null); running totals on every event; on the finishing event without being requested.
"""

_PIECE = re.compile(r"[ _]?[^\W\d_]+|\d{1,3}|[^\S\n]?[^\s\w]+\n*|\s+|_")


def pieces(text: str) -> tuple[str, ...]:
    """Split a text as a tokenizer might: words with the space before them, short digits, marks.

    Joined they are the text again. For common English words they are exactly the tokens.
    """
    return tuple(_PIECE.findall(text))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the server bills; ``output`` includes ``reasoning``, ``input`` ``cached``."""

    input: int
    output: int
    reasoning: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call that the model requests."""

    name: str
    arguments: str
    id: str = field(default_factory=lambda: f"call_{uuid.uuid4().hex[:24]}")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: a text for each choice, and the tool calls of the first choice."""

    texts: tuple[str, ...] = ("",)
    usage: Usage | None = None
    model: str = "gpt-4o-mini-2024-07-18"
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    split: Callable[[str], Sequence[str]] = pieces
    """How a text is cut into the deltas of a stream."""
    azure: bool = False
    """With the content filter's results, as from Azure."""
    background: bool = False
    """Created in the background, to be fetched later."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))


def completion_usage(usage: Usage | None) -> JsonObject | None:
    """Return usage as in chat and legacy completions."""
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def paced(steps: Iterable[Step], seconds: float) -> Iterator[Step]:
    """Yield the steps with a pause before each event."""
    for step in steps:
        if seconds > 0 and isinstance(step, Event):
            yield Wait(seconds)
        yield step
