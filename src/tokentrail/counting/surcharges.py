"""Surcharges: what an answer is billed besides the tokens of its texts, and by which rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.counting.models import Dialect
from tokentrail.counting.rules import Part
from tokentrail.counting.rules import RuleId as Id
from tokentrail.support.frozen import lean_dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Key = tuple[str, int, int]
    """Kind, choice and item of a text: see `tokentrail.model.records.TextSink`."""

NAME_PREFIX = "."
"""The character before the name of a called tool, after the word "functions"."""
LEGACY_CALL = -1
"""The item of a function_call (of 2023), next to tool calls, which are numbered from 0."""

_TEXTS = frozenset({"text", "refusal", "reasoning"})
_CALLS = frozenset({"tool_name", "tool_arguments"})

_ITEM = 1
_BESIDE_TOOLS = 1
_SCHEMA = 2
_REFUSAL = 1
_CALL = 7
_CALL_GPT_4 = 4
_SEVERAL, _SEVERAL_EARLY = 10, 9
"""Several calls, besides their JSON; if long, _LONG and _LONG_CALL for each besides their texts."""
_LONG, _LONG_CALL = 16, 6
_TEXT_AND_CALL, _TEXT_AND_CALL_RESPONSES = 2, 1
_HEADER = 3
_END = 1


@lean_dataclass(frozen=True, slots=True)
class Answer:
    """One answer: a choice of a chat completion, or the whole output of a response."""

    number: int
    messages: int = 0
    """Its messages of text."""
    refused: bool = False
    calls: tuple[tuple[int, int], ...] = ()
    """Choice and item of its calls."""


def answers(keys: Iterable[Key], *, of_responses: bool) -> list[Answer]:
    """Return the answers to which texts with these keys belong."""
    texts: dict[int, set[int]] = {}
    calls: dict[int, dict[tuple[int, int], None]] = {}
    refused = set()
    for kind, choice, item in keys:
        number = 0 if of_responses else choice
        if kind in _CALLS:
            calls.setdefault(number, {})[choice, item] = None
        elif kind in _TEXTS:
            texts.setdefault(number, set()).add(choice)
        if kind == "refusal":
            refused.add(number)
    return [
        Answer(n, len(texts.get(n, ())), n in refused, tuple(calls.get(n, ())))
        for n in dict.fromkeys((*texts, *calls))
    ]


@lean_dataclass(frozen=True, slots=True)
class Surcharges:
    """Facts of the request and the answer so far that decide the surcharges."""

    dialect: Dialect = Dialect.PLAIN
    gpt_4: bool = False
    """The model is gpt-4 itself: its tool calls cost less."""
    of_responses: bool = False
    completion: bool = False
    """The legacy completions API: its answers are plain texts."""
    tools: bool = False
    """Tools were declared."""
    hosted_tools: bool = False
    """Hosted tools were declared."""
    names_tool: bool = False
    """The request named the tool to call, so the name is not billed."""
    required: bool = False
    """The request required a tool call."""
    schema: str | None = None
    """The name of the requested schema."""
    thinks: bool = True
    """Reasoning is not switched off in the request."""
    cut: bool = False
    """The answer was cut short, so its end mark was never written."""
    ended: int = 0
    """Number of answers that were not cut short."""
    end: Id | None = None
    """The rule for the end mark of such an answer; None if it is not billed."""
    stops: Id | None = None
    """The rule for answers that a stop sequence may have ended; None without stop sequences."""
    early: bool = False
    """The call was made before October 2025."""
    allowed: bool = False
    """The request required a call of one of its allowed tools."""

    @property
    def text_rule(self) -> Id:
        """The rule for the texts themselves."""
        if self.completion:
            return Id.ANSWER_COMPLETION
        return Id.ANSWER_RESPONSES if self.of_responses else Id.ANSWER

    def of_all(self) -> Iterator[Part]:
        """Yield what all answers together cost besides their texts."""
        if self.stops is not None:
            yield Part(self.stops, 0)
        if self.end is not None and self.stops is not None:
            sure = self.end is Id.ANSWER_END_AZURE
            yield Part(Id.ANSWER_END_UNSURE, _END * self.ended if sure else 0)
        elif self.end is not None and self.ended:
            yield Part(self.end, _END * self.ended)
        if self.dialect.reasons and self.thinks:
            yield Part(Id.ANSWER_THOUGHT, 0)

    def of(self, answer: Answer, joined: int | None, name: int) -> Iterator[Part]:
        """Yield what one answer costs besides its texts.

        ``joined``: tokens of its calls if they are counted as one; ``name``: tokens of the schema's
        name.
        """
        if answer.messages:
            yield from self._of_texts(answer, name)
        if answer.calls:
            yield from self._of_calls(answer, joined)
        if answer.calls and answer.messages:
            more = _TEXT_AND_CALL_RESPONSES if self.of_responses else _TEXT_AND_CALL
            yield Part(Id.ANSWER_TEXT_AND_CALL, more)
        if self.of_responses:
            items = answer.messages + bool(answer.calls)
            yield Part(Id.ANSWER_ITEM, _ITEM * (items - self.cut))
        if self.dialect.reasons and not self.thinks:
            yield Part(Id.ANSWER_HEADER, _HEADER)

    def _of_texts(self, answer: Answer, name: int) -> Iterator[Part]:
        if answer.refused:
            yield Part(Id.ANSWER_REFUSAL, _REFUSAL)
            return
        if answer.calls:
            return
        reasons = self.dialect.reasons
        tools = self.tools or self.hosted_tools
        if tools and not reasons:
            hosted = Id.ANSWER_BESIDE_HOSTED if self.hosted_tools else Id.ANSWER_BESIDE_TOOLS
            yield Part(hosted, _BESIDE_TOOLS * answer.messages)
        if self.schema is not None and (tools or reasons):
            rule = Id.ANSWER_SCHEMA_REASONING if reasons else Id.ANSWER_SCHEMA
            yield Part(rule, (_SCHEMA + name) * answer.messages)

    def _of_calls(self, answer: Answer, joined: int | None) -> Iterator[Part]:
        several = len(answer.calls)
        if joined is not None and several > 1 and self.of_responses and self.early:
            yield Part(Id.ANSWER_CALLS_EARLY, joined + _SEVERAL_EARLY)
        elif joined is not None:
            rule = Id.ANSWER_CALLS_RESPONSES if self.of_responses else Id.ANSWER_CALLS_CHAT
            yield Part(rule if several > 1 else Id.ANSWER_CALL_WRAPPED, joined + _SEVERAL)
        elif several > 1:
            yield Part(Id.ANSWER_CALLS_LONG, _LONG + _LONG_CALL * several)
        elif self.gpt_4 and self.required and self.names_tool:
            yield Part(Id.ANSWER_CALL_GPT_4_FORCED, _CALL_GPT_4)
        elif self.names_tool:
            yield Part(Id.ANSWER_CALL_NAMED, 0)
        elif self.hosted_tools:
            yield Part(Id.ANSWER_CALL_BESIDE_HOSTED, _CALL)
        elif self.allowed:
            yield Part(Id.ANSWER_CALL_ALLOWED, _CALL)
        elif self.gpt_4:
            yield Part(Id.ANSWER_CALL_GPT_4, _CALL_GPT_4)
        else:
            legacy = answer.calls[0][1] == LEGACY_CALL
            yield Part(Id.ANSWER_CALL_FUNCTION if legacy else Id.ANSWER_CALL, _CALL)
