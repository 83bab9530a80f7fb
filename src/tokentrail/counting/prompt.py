"""The input of a call: what the messages, tools and images of a prompt are billed.

The rule for plain messages is OpenAI's (cookbook, "How to count tokens with tiktoken") and exact
on every published count. The rest was found by experiment, here or by others; each constant says
on what it rests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokentrail.counting.images import UNKNOWN, image_price
from tokentrail.counting.models import base_name, may_reason
from tokentrail.counting.schemas import as_json, bulk, render_schema
from tokentrail.counting.text import INLINE, Sum, weight
from tokentrail.counting.tools import MalformedError, Rendering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.counting.text import Encoder
    from tokentrail.model.records import Message, Prompt, ToolCall

TOOL_WEIGHT = 64
"""What a tool or schema weighs beside its texts and keys."""

LEGACY_FUNCTION = -2
"""A message of the role "function" (hmarr/openai-chat-tokens: 3 of 3 billed examples)."""
FUNCTION_CALL = 3
"""A function_call in an assistant message, beside name and arguments (hmarr: 2 of 2)."""

SINGLE_CALL = 6
"""One tool call in an assistant message, beside frame, name and arguments (3 of 3 recordings of
gpt-4o, gpt-4o-mini and gpt-4.1-mini, with the tool message that answers it, where the name of the
function called is counted in place of the role)."""
PARALLEL_CALLS = 10
PARALLEL_CALL = 8
"""Several: 10 and 8 for each (one recording; a guess)."""
TOOLS = 9
TOOLS_WITH_SYSTEM = -4
"""Beside their rendering; less where a system message is there to carry them, which is then
padded with a newline (hmarr; 14 of 18 published counts exact, the others off by 1 or 2)."""
RESPONSES_TOOLS = -6
RESPONSES_CALL = -2
"""The same in the Responses API, on top: for any tools unless a call is required (6 of 6 recordings
of gpt-4o, gpt-4o-mini and gpt-4.1, prompts that chat billed too among them; with a required call 2
others are nearer without it) and for each call in the prompt (3 of 3)."""
CHOICE_NONE = 1
NAMED_TOOL = 7
NAMED_FUNCTION = 4
"""tool_choice, beside the name (openai-messages-token-helper: 4 of 4; hmarr)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds the texts of a prompt of messages."""

    message: int = 3
    name: int = 1
    reply: int = 3
    """The start of the answer."""


def frame_of(model: str) -> Frame:
    """Return the frame that the model uses."""
    if base_name(model) in {"gpt-3.5-turbo-0301", "gpt-35-turbo-0301"}:
        return Frame(message=4, name=-1)
    # One lower for o4-mini and o3 (billed examples) and gpt-5.4 (a recording).
    return Frame(reply=2) if may_reason(model) else Frame()


class InputTally:
    """Counts the input of one call. After ``steps`` is through, ``tokens`` and ``exact`` are final.

    ``exact`` is False where a length was estimated, where a price is not known (an image's size,
    a schema, parts of unknown kind) or guessed (an image's detail, several tool calls at once,
    declarations of a form that no billed example has) and where the prompt was not fully read.
    Whether a prompt is ``unknowable`` is for the caller to ask first.
    """

    __slots__ = ("_prompt", "_sum")

    def __init__(self, prompt: Prompt) -> None:
        """Keep the prompt; count nothing yet."""
        self._prompt = prompt
        self._sum = Sum()

    @property
    def tokens(self) -> int:
        """Tokens counted so far."""
        return self._sum.tokens

    @property
    def exact(self) -> bool:
        """Everything so far was counted by a rule that is not a guess."""
        return self._sum.exact

    @property
    def weight(self) -> int:
        """What counting may cost, as `tokentrail.counting.weight` of a text; roughly.

        Of more than INLINE, which is too much for the application's thread, some part.
        """
        total = 0
        for weighed in _weights(self._prompt):
            total += weighed
            if total > INLINE:
                break
        return total

    def steps(self, encoding: Encoder | None, model: str) -> Iterator[None]:
        """Count slice by slice, each under 1 ms; ``model`` decides frames and image prices.

        A single declaration is written in one slice: 2 ms for one of 1,500 properties.
        """
        prompt = self._prompt
        self._sum = Sum()
        self._sum.tokens = prompt.token_ids
        self._sum.exact = not prompt.incomplete
        for text in prompt.texts:
            yield from self._sum.steps(encoding, text)
        if prompt.messages:
            yield from self._messages(encoding, model, frame_of(model))
        if prompt.tools:
            yield from self._tools(encoding)
        if prompt.schema is not None:
            yield from self._schema(encoding)

    def _messages(self, encoding: Encoder | None, model: str, frame: Frame) -> Iterator[None]:
        self._sum.tokens += frame.reply
        called: list[str] = []
        padded = not self._prompt.tools
        for message in self._prompt.messages:
            pads = not padded and message.role in {"system", "developer"}
            padded = padded or pads
            called = [call.name for call in message.tool_calls] or called
            role = message.role
            if role == "tool" and called:
                role = called.pop(0)
            self._frame(message, frame, model)
            for text in (role, *_texts(message, pads=pads)):
                yield from self._sum.steps(encoding, text)

    def _frame(self, message: Message, frame: Frame, model: str) -> None:
        """Add what a message costs beside its texts."""
        tokens = frame.message
        tokens += frame.name if message.name is not None else 0
        tokens += LEGACY_FUNCTION if message.role == "function" else 0
        tokens += FUNCTION_CALL if message.function_call else 0
        calls = len(message.tool_calls)
        if calls == 1:
            tokens += SINGLE_CALL
            tokens += RESPONSES_CALL if self._prompt.of_responses else 0
        elif calls:
            tokens += PARALLEL_CALLS + PARALLEL_CALL * calls
            self._sum.exact = False
        for image in message.images:
            price = image_price(model, image.url, image.detail)
            self._sum.exact = self._sum.exact and price is not None and price.exact
            tokens += UNKNOWN if price is None else price.tokens
        self._sum.exact = self._sum.exact and not message.unknown_parts
        self._sum.tokens += tokens

    def _tools(self, encoding: Encoder | None) -> Iterator[None]:
        rendering = Rendering()
        try:
            for tool in self._prompt.tools:
                rendering.add(tool)
                yield
            rendered = rendering.text()
            self._sum.exact = self._sum.exact and rendering.exact
        except (MalformedError, RuntimeError):  # RuntimeError: changed while it was read.
            rendered = as_json(self._prompt.tools)
            self._sum.exact = False
        self._sum.tokens += TOOLS
        if self._prompt.of_responses and self._prompt.tool_choice != "required":
            self._sum.tokens += RESPONSES_TOOLS
        if any(message.role in {"system", "developer"} for message in self._prompt.messages):
            self._sum.tokens += TOOLS_WITH_SYSTEM
        yield from self._sum.steps(encoding, rendered)
        yield from self._choice(encoding)

    def _choice(self, encoding: Encoder | None) -> Iterator[None]:
        choice = self._prompt.tool_choice or ""
        kind, _, name = choice.partition(":")
        if choice == "none":
            self._sum.tokens += CHOICE_NONE
        elif name:
            self._sum.tokens += NAMED_FUNCTION if kind == "function" else NAMED_TOOL
            yield from self._sum.steps(encoding, name)

    def _schema(self, encoding: Encoder | None) -> Iterator[None]:
        """Add a structured output's schema: a guess, no rule is published."""
        prompt, self._sum.exact = self._prompt, False
        rendered = render_schema(prompt.schema, prompt.schema_name, prompt.schema_about)
        yield from self._sum.steps(encoding, rendered)


def _texts(message: Message, *, pads: bool) -> Iterator[str]:
    """Yield what is counted of a message; the parts of its content each by themselves."""
    texts = message.texts or ("",)
    yield from texts[:-1]
    yield texts[-1] + "\n" if pads else texts[-1]
    if message.name is not None:
        yield message.name
    for call in _calls(message):
        yield call.name
        yield call.arguments


def _calls(message: Message) -> tuple[ToolCall, ...]:
    legacy = (message.function_call,) if message.function_call else ()
    return (*message.tool_calls, *legacy)


def _weights(prompt: Prompt) -> Iterator[int]:
    """Yield the weights of the parts of a prompt, none of which takes long to find."""
    yield from map(weight, prompt.texts)
    yield from map(_message_weight, prompt.messages)
    for extra in (*prompt.tools, prompt.schema):
        yield TOOL_WEIGHT * (extra is not None) + bulk(extra, INLINE)


def _message_weight(message: Message) -> int:
    return 4 + sum(map(weight, _texts(message, pads=False)))
