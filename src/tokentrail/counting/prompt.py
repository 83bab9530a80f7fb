"""The input of a call: the tokens that the messages, tools and images of a prompt are billed.

The rule for plain messages is OpenAI's (cookbook, "How to count tokens with tiktoken"). The rest
was found by experiment and in recorded exchanges: `rules` lists the rules and `evidence` the
evidence for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.counting.files import file_text
from tokentrail.counting.images import image_price
from tokentrail.counting.models import dialect_of, is_gpt_4
from tokentrail.counting.overheads import Overhead, overhead
from tokentrail.counting.rules import Part, all_proven
from tokentrail.counting.rules import RuleId as Id
from tokentrail.counting.schemas import as_json, bulk, render_schema, schema_name
from tokentrail.counting.text import INLINE, Sum, weight
from tokentrail.counting.tools import MalformedError, Rendering
from tokentrail.counting.turns import listed_results, minified, turns, wrapped_calls
from tokentrail.model.records import ALLOWED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.counting.encodings import Encoder
    from tokentrail.counting.turns import Turn
    from tokentrail.model.records import Message, Prompt, ToolCall

Place = int | str
"""The part of the prompt: the number of a message, "tools", "tool_choice", "schema", or "request"
for the whole."""
TOOL_WEIGHT = 64
"""What a tool or schema weighs besides its texts and keys."""

_SYSTEM = ("system", "developer")
_ROLE = 1
"""Tokens of a role that the server adds without a message of that role."""
_BLANK_LINE = "\n\n"
"""One token, unless it merges with the text before it."""
_COMPLETED = 3
"""A call as the server gave it, with its status."""
_WRAPPED_CALLS = 13
"""Several calls at once, besides a message, their JSON and the list of their results."""
_WRAPPED_REASONING = 26
_WRAPPED_RESPONSES, _WRAPPED_RESPONSES_CALL = 8, 11
_MARCH, _MARCH_28, _APRIL = 1740787200, 1743120000, 1743465600
"""Of 2025, when Responses was new and its input cost more; in seconds since the epoch."""
_EARLY, _EARLY_TOOLS = 18, 216
_BESIDE_TOOLS = 1
_SCHEMA_RESPONSES = 1
_SCHEMA_REASONING = 4
_SCHEMA_HEADER = 2
"""The start of a structured answer, besides the schema's name."""
_FUNCTION_MESSAGE = -2
_FUNCTION_CALL = 3
_CHOICE_NONE = 1
_CHOICE_REQUIRED = 6
_CHOICE_NAMED = 7
_CHOICE_FUNCTION = 4
_UNDESCRIBED = -1
_SEALED_FRAME = 700
_SEALED_TOKEN = 7.5
"""Characters of encrypted reasoning: fixed overhead, and per reasoning token. A guess."""


class InputTally:
    """Counts the input of one call. Its properties are final once ``steps`` is exhausted.

    ``exact`` is False if a length was estimated, if a rule without enough evidence was used, or if
    the prompt was not fully read. Callers check first whether a prompt is ``unknowable``.
    """

    __slots__ = (
        "_early",
        "_encoding",
        "_model",
        "_overhead",
        "_parts",
        "_place",
        "_placed",
        "_prompt",
        "_reasons",
        "_sum",
    )

    def __init__(
        self, prompt: Prompt, *, billed_at: int | None = None, places: bool = False
    ) -> None:
        """Keep the prompt; count nothing yet.

        ``billed_at``: time of the answer, in seconds since the epoch, if known.
        ``places``: also keep which part of the prompt the tokens belong to, for `placed_parts`.
        """
        self._prompt = prompt
        self._placed: dict[tuple[Place, Id], int] | None = {} if places else None
        self._place: Place = "request"
        self._early = _early(prompt, billed_at)
        self._begin(None, "")

    @property
    def tokens(self) -> int:
        """Tokens counted so far."""
        return self._sum.tokens

    @property
    def measured(self) -> bool:
        """No length so far was estimated."""
        return self._sum.exact

    @property
    def exact(self) -> bool:
        """Everything so far was counted, by rules that are proven."""
        return self._sum.exact and all_proven(self._parts)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What the tokens so far are made of, by rule."""
        return tuple(Part(rule, tokens) for rule, tokens in self._parts.items())

    @property
    def placed_parts(self) -> tuple[tuple[Place, Part], ...]:
        """The same by part of the prompt, in its order; empty unless asked for."""
        placed = self._placed or {}
        return tuple((place, Part(rule, tokens)) for (place, rule), tokens in placed.items())

    @property
    def weight(self) -> int:
        """Roughly what counting costs, in the unit of `tokentrail.counting.weight`.

        Above INLINE, which is too much for the application's thread, it stops adding up.
        """
        total = 0
        for weighed in _weights(self._prompt):
            total += weighed
            if total > INLINE:
                break
        return total

    def steps(self, encoding: Encoder | None, model: str) -> Iterator[None]:
        """Count slice by slice, each under 1 ms; ``model`` decides overheads and image prices.

        A single declaration is one slice: 2 ms for one with 1,500 properties.
        """
        prompt = self._prompt
        self._begin(encoding, model)
        if prompt.incomplete:
            self._add(Id.NOT_READ, 0)
        if self._early:
            self._add(Id.MESSAGES_MARCH, self._early)
        if prompt.token_ids:
            self._add(Id.BARE_IDS, prompt.token_ids)
        for text in prompt.texts:
            yield from self._text(Id.BARE_TEXT if text else Id.BARE_EMPTY, text)
        if prompt.messages:
            yield from self._messages()
        if prompt.tools:
            self._place = "tools"
            yield from self._tools()
        if prompt.schema is not None:
            self._place = "schema"
            yield from self._schema()

    def _begin(self, encoding: Encoder | None, model: str) -> None:
        dialect = dialect_of(model)
        self._encoding, self._model, self._reasons = encoding, model, dialect.reasons
        self._overhead: Overhead = overhead(dialect, of_responses=self._prompt.of_responses)
        self._parts: dict[Id, int] = {}
        self._place = "request"
        if self._placed:
            self._placed.clear()
        self._sum = Sum()

    def _add(self, rule: Id, tokens: int) -> None:
        self._sum.tokens += tokens
        self._parts[rule] = self._parts.get(rule, 0) + tokens
        if self._placed is not None:
            key = (self._place, rule)
            self._placed[key] = self._placed.get(key, 0) + tokens

    def _text(self, rule: Id, text: str) -> Iterator[None]:
        before = self._sum.tokens
        yield from self._sum.steps(self._encoding, text)
        tokens = self._sum.tokens - before
        self._parts[rule] = self._parts.get(rule, 0) + tokens
        if self._placed is not None:
            key = (self._place, rule)
            self._placed[key] = self._placed.get(key, 0) + tokens

    def _messages(self) -> Iterator[None]:
        self._add(*self._overhead.start)
        prompt = self._prompt
        unpadded = bool(prompt.tools) or prompt.schema is not None
        first = prompt.messages[0]
        names = {call.id: call.name for said in prompt.messages for call in said.tool_calls}
        for turn in turns(prompt):
            self._place = turn.first
            if turn.calls:
                yield from self._calls(turn)
                continue
            pads = unpadded and turn.message is first and first.role in _SYSTEM
            unpadded = unpadded and not pads
            yield from self._message(turn, pads=pads, name=names.get(turn.message.call_id))
        self._place = "request"
        if unpadded and self._overhead.joined:
            self._add(self._overhead.tools.rule, self._overhead.message + _ROLE)

    def _message(self, turn: Turn, *, pads: bool, name: str | None) -> Iterator[None]:
        message = turn.message
        if message.role in {"reasoning", "compaction"}:
            self._sealed(message, dropped=turn.dropped)
            return
        role = message.role
        if role == "tool":
            if name is None:
                self._add(Id.RESULT_ALONE, 0)
            yield from self._result(message, name or role)
            return
        self._add(self._overhead.start.rule, self._overhead.message)
        yield from self._text(self._overhead.start.rule, role)
        yield from self._content(message, pads=pads)
        yield from self._name(message)
        yield from self._function(message)
        if role == "assistant" and any(message.texts):
            yield from self._answered()

    def _content(self, message: Message, *, pads: bool = False) -> Iterator[None]:
        """Add the text of a message, its images and files."""
        text, rule = "".join(message.texts), self._overhead.start.rule
        if len(message.texts) > 1:
            self._add(Id.TEXT_PARTS, 0)
        if pads and self._overhead.joined:
            text += _BLANK_LINE
        elif pads and self._overhead.wrapped:
            text = f"{_BLANK_LINE}{text}{_BLANK_LINE}"
            self._add(rule, -2)
        yield from self._text(rule, text)
        for image in message.images:
            self._add(*image_price(self._model, image.url, image.detail))
        for file in message.files:
            found = file_text(file)
            yield from self._text(Id.NOT_READ if found is None else Id.FILE_TEXT, found or "")
        if message.unknown_parts:
            self._add(Id.NOT_READ, 0)

    def _name(self, message: Message) -> Iterator[None]:
        if message.name is not None:
            self._add(Id.NAME, 0 if message.name == message.role else self._overhead.name)
            yield from self._text(Id.NAME, message.name)

    def _function(self, message: Message) -> Iterator[None]:
        """Add the function or function call of a message in the format of 2023."""
        if message.role == "function":
            self._add(Id.FUNCTION_MESSAGE, _FUNCTION_MESSAGE)
        if message.function_call is not None:
            self._add(Id.FUNCTION_CALL, _FUNCTION_CALL)
            yield from self._text(Id.FUNCTION_CALL, message.function_call.name)
            yield from self._text(Id.FUNCTION_CALL, message.function_call.arguments)

    def _answered(self) -> Iterator[None]:
        """Add what an earlier answer of text costs besides its text."""
        if self._overhead.assistant is not None:
            self._add(*self._overhead.assistant)
        if self._prompt.schema is not None:
            rule = Id.NOT_READ if self._prompt.of_responses else Id.SCHEMA_ANSWERED
            yield from self._named(rule, _SCHEMA_HEADER)

    def _named(self, rule: Id, tokens: int) -> Iterator[None]:
        """Add tokens and the name of the schema."""
        self._add(rule, tokens)
        yield from self._text(rule, schema_name(self._prompt.schema, self._prompt.schema_name))

    def _sealed(self, message: Message, *, dropped: bool) -> None:
        length = round(max(0, message.sealed - _SEALED_FRAME) / _SEALED_TOKEN)
        if dropped:
            self._add(Id.REASONING_DROPPED, 0)
        elif message.role == "compaction":
            self._add(Id.COMPACTION, length)
        else:
            self._add(Id.REASONING_SEALED, length)

    def _calls(self, turn: Turn) -> Iterator[None]:
        """Add the calls of one answer and their results."""
        message, several = turn.message, len(turn.calls) > 1
        if message.unknown_parts:
            self._add(Id.NOT_READ, 0)
        if any(message.texts) or message.images:
            self._add(Id.CALL_BESIDE_TEXT, self._overhead.message + _ROLE)
            yield from self._content(message)
            yield from self._answered()
        if message.name is not None:
            yield from self._name(message)
        if several and (self._reasons or not self._prompt.of_responses):
            yield from self._wrapped(turn)
            return
        if several:
            self._add(Id.CALLS_RESPONSES, 0)
        for call in turn.calls:
            yield from self._call(call, alone=not several)
        names = {call.id: call.name for call in turn.calls}
        for number, (result, call) in enumerate(zip(turn.results, turn.calls, strict=False)):
            self._place = turn.first_result + number
            yield from self._result(result, names.get(result.call_id, call.name))

    def _call(self, call: ToolCall, *, alone: bool) -> Iterator[None]:
        rule, tokens = self._overhead.call
        self._add(rule, tokens + self._overhead.message + _ROLE)
        arguments = call.arguments
        if not self._prompt.of_responses:
            arguments = minified(arguments)
        elif self._reasons and minified(arguments) != arguments:
            arguments = minified(arguments)
            self._add(Id.CALL_REASONING_SPACED, 0)
        elif call.completed and alone and not self._reasons:
            self._add(self._completed_rule(), _COMPLETED)
        yield from self._text(rule, f".{call.name}")
        yield from self._text(rule, arguments)

    def _completed_rule(self) -> Id:
        if self._prompt.schema is not None:
            return Id.CALL_COMPLETED_SCHEMA
        once = Id.CALL_COMPLETED not in self._parts and Id.CALL_COMPLETED_AGAIN not in self._parts
        return Id.CALL_COMPLETED if once else Id.CALL_COMPLETED_AGAIN

    def _result(self, result: Message, name: str) -> Iterator[None]:
        rule = self._overhead.call.rule
        self._add(rule, self._overhead.message)
        yield from self._text(rule, name)
        yield from self._content(result)

    def _wrapped(self, turn: Turn) -> Iterator[None]:
        """Add several calls as the one call of a hidden tool that made them."""
        rule, tokens = Id.CALLS_CHAT, _WRAPPED_CALLS + 2 * self._overhead.message + _ROLE
        if self._prompt.of_responses:
            rule = Id.CALLS_RESPONSES_REASONING
            tokens = _WRAPPED_RESPONSES + _WRAPPED_RESPONSES_CALL * len(turn.calls)
        elif self._reasons:
            rule, tokens = Id.CALLS_CHAT_REASONING, _WRAPPED_REASONING
        calls = wrapped_calls([(call.name, minified(call.arguments)) for call in turn.calls])
        results = listed_results(["".join(result.texts) for result in turn.results])
        self._add(rule, tokens)
        if not (calls.isascii() and results.isascii()):
            self._add(Id.CALLS_ESCAPED, 0)
        if any(result.images or result.unknown_parts for result in turn.results):
            self._add(Id.NOT_READ, 0)
        yield from self._text(rule, calls)
        if turn.results:
            self._place = turn.first_result
        yield from self._text(rule, results)

    def _tools(self) -> Iterator[None]:
        rendering = Rendering()
        self._add(*self._overhead.tools)
        try:
            for tool in self._prompt.tools:
                rendering.add(tool)
                yield
            rendered = rendering.text()
            for rule in rendering.rules:
                self._add(rule, 0)
            if self._reasons and not rendering.described:
                self._add(Id.TOOLS_UNDESCRIBED, _UNDESCRIBED)
        except (MalformedError, RuntimeError):  # RuntimeError: changed while being read.
            rendered = as_json(self._prompt.tools)
            self._add(Id.NOT_READ, 0)
        yield from self._text(Id.DECLARATION, rendered)
        yield from self._choice()

    def _choice(self) -> Iterator[None]:
        self._place = "tool_choice"
        choice = self._prompt.tool_choice or ""
        kind, _, name = choice.partition(":")
        if choice.endswith(ALLOWED):
            self._add(Id.CHOICE_ALLOWED, 0)
        elif choice == "required":
            self._add(*self._required())
        elif (choice == "none" or name) and self._reasons:
            self._add(Id.CHOICE_REASONING, 0)
        elif choice == "none":
            self._add(Id.CHOICE_NONE, _CHOICE_NONE)
        elif name:
            of_2023 = kind == "function"
            rule = Id.CHOICE_FUNCTION if of_2023 else Id.CHOICE_NAMED
            self._add(rule, _CHOICE_FUNCTION if of_2023 else _CHOICE_NAMED)
            yield from self._text(rule, name if of_2023 else f".{name}")

    def _required(self) -> Part:
        if self._prompt.of_responses and not self._reasons:
            return Part(Id.CHOICE_REQUIRED_RESPONSES, _CHOICE_REQUIRED)
        return Part(Id.CHOICE_REQUIRED_GPT_4 if is_gpt_4(self._model) else Id.CHOICE_REQUIRED, 0)

    def _schema(self) -> Iterator[None]:
        """Add a structured output's schema and the text around it."""
        prompt = self._prompt
        rendered, rules = render_schema(prompt.schema, prompt.schema_name, prompt.schema_about)
        for rule in rules:
            self._add(rule, 0)
        rule = self._schema_rule()
        yield from self._text(rule, rendered)
        if rule is Id.SCHEMA_CHAT and prompt.tools:
            self._add(Id.SCHEMA_BESIDE_TOOLS, _BESIDE_TOOLS)
        elif rule is Id.SCHEMA_CHAT:
            yield from self._named(rule, _SCHEMA_HEADER)
        elif rule is Id.SCHEMA_CHAT_REASONING:
            self._add(rule, _SCHEMA_REASONING)
        elif rule is Id.SCHEMA_RESPONSES:
            self._add(rule, _SCHEMA_RESPONSES)

    def _schema_rule(self) -> Id:
        if self._prompt.of_responses:
            return Id.SCHEMA_RESPONSES_REASONING if self._reasons else Id.SCHEMA_RESPONSES
        return Id.SCHEMA_CHAT_REASONING if self._reasons else Id.SCHEMA_CHAT


def _early(prompt: Prompt, billed_at: int | None) -> int:
    """Return how many tokens more a prompt cost in March 2025."""
    if not prompt.of_responses or billed_at is None or not _MARCH <= billed_at < _APRIL:
        return 0
    return _EARLY_TOOLS if prompt.tools and billed_at < _MARCH_28 else _EARLY


def _weights(prompt: Prompt) -> Iterator[int]:
    """Yield the weights of the parts of a prompt; each is quick to find."""
    yield from map(weight, prompt.texts)
    yield from map(_message_weight, prompt.messages)
    for extra in (*prompt.tools, prompt.schema):
        yield TOOL_WEIGHT * (extra is not None) + bulk(extra, INLINE)


def _message_weight(message: Message) -> int:
    texts = sum(map(weight, message.texts)) + sum(map(len, message.files))
    legacy = (message.function_call,) if message.function_call else ()
    calls = (*message.tool_calls, *legacy)
    return 4 + texts + sum(weight(call.name) + weight(call.arguments) for call in calls)
