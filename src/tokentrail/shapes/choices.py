"""Answers made of choices, as chat completions and completions give them, plain and streamed."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from tokentrail.operation import Response
from tokentrail.shapes.filters import Findings, read_answer_filters
from tokentrail.shapes.reading import fields, sequence, word
from tokentrail.shapes.usage import chat_usage, is_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.operation import Request, TextSink

    Teller = Callable[[Mapping[str, object], int, TextSink], None]
    """Hands the text of a choice, given by its fields and index, to the sink."""

MOST_CHOICES: Final = 128
"""More choices than the API gives. The finish reasons of further ones are not kept."""
NEVER_RECEIVED: Final = "error"
"""The conventions' finish reason for a choice whose own never came."""
_FIELDS: Final = ("id", "model", "service_tier", "system_fingerprint", "choices", "usage")
_READ: Final = itemgetter(*_FIELDS)
"""Reads a chunk that has all of them, as those of openai do, in one step."""


def index_of(given: Mapping[str, object], position: int) -> int:
    """Return the index that a choice or tool call bears; its position where it bears none."""
    index = given.get("index")
    return index if type(index) is int else position


def read_answer(answer: object, tell: Teller, sink: TextSink | None) -> Response:
    """Read a plain answer; ``tell`` hands over the text of one choice.

    What is no such answer (the bare text that ``extra_body={"stream": True}`` gives) tells
    nothing and is not complete.
    """
    given = fields(answer)
    reasons: dict[int, str | None] = {}
    filters: list[object] = []
    for position, choice in enumerate(sequence(given.get("choices"))):
        said = fields(choice)
        index = index_of(said, position)
        if 0 <= index < MOST_CHOICES:
            reasons[index] = word(said.get("finish_reason"))
        if "content_filter_results" in said:
            filters.append(said["content_filter_results"])
        if sink is not None:
            tell(said, index, sink)
    return Response(
        id=word(given.get("id")),
        model=word(given.get("model")),
        finish_reasons=finish_reasons(reasons, range(0)),
        service_tier=word(given.get("service_tier")),
        system_fingerprint=word(given.get("system_fingerprint")),
        content_filter=read_answer_filters(given.get("prompt_filter_results"), filters),
        reported=chat_usage(given.get("usage")),
        complete=bool(given),
    )


def finish_reasons(reasons: Mapping[int, str | None], expected: range) -> tuple[str, ...] | None:
    """Return one reason per choice in choice order, "error" for those that never came."""
    if not expected and len(reasons) == 1:  # as nearly always: one choice, whole
        (reason,) = reasons.values()
        return (reason or NEVER_RECEIVED,)
    awaited = sorted({*reasons, *expected})
    return tuple([reasons.get(index) or NEVER_RECEIVED for index in awaited]) or None


class ChunkAccumulator:
    """Gathers a stream of chunks. O(1) each, in memory bounded by ``MOST_CHOICES``.

    The last non-empty id, model, tier and fingerprint win: Azure's first chunk has empty ones.
    The last usage wins, on whatever chunk it stood.
    """

    __slots__ = (
        "_expected", "_final", "_fingerprint", "_id", "_model", "_reasons", "_sink", "_tell",
        "_tier", "_usage",
    )  # fmt: skip

    def __init__(self, expected: int | None, tell: Teller, sink: TextSink | None) -> None:
        """Await ``expected`` choices (one, if ``None``) and hand their text to ``tell``."""
        self._expected = range(min(max(expected or 1, 1), MOST_CHOICES))
        self._tell = tell
        self._sink = sink
        self._id: object = None
        self._model: object = None
        self._tier: object = None
        self._fingerprint: object = None
        self._reasons: dict[int, str | None] = {}
        self._usage: object = None
        self._final = True

    def add(self, chunk: object) -> None:  # noqa: C901, PLR0912 - calls cost, branches do not
        """Take the next chunk, of any type."""
        # The hot path: as fields(), without its calls where nothing is strange.
        try:
            name, model, tier, fingerprint, choices, usage = _READ(chunk.__dict__)
        except (AttributeError, KeyError):
            name, model, tier, fingerprint, choices, usage = map(fields(chunk).get, _FIELDS)
        if name:
            self._id = name
        if model:
            self._model = model
        if tier:
            self._tier = tier
        if fingerprint:
            self._fingerprint = fingerprint
        if type(choices) is not list:
            choices = None
        if usage is not None and is_usage(usage):
            self._usage = usage
            self._final = True
        elif choices:
            self._final = False
        if choices:
            reasons, sink = self._reasons, self._sink
            for choice in choices:
                try:
                    given = choice.__dict__
                except AttributeError:
                    given = fields(choice)
                index = given.get("index")
                reason = given.get("finish_reason")
                if reason or type(index) is not int or index not in reasons:
                    index = self._finish(index, reason)
                if sink is not None:
                    self._tell(given, index, sink)

    def _finish(self, index: object, reason: object) -> int:
        """Note a choice and its finish reason; one that bears no index is the first."""
        known = index if type(index) is int else 0
        if 0 <= known < MOST_CHOICES:
            self._reasons[known] = word(reason) or self._reasons.get(known)
        return known

    def response(self) -> Response:
        """Return what is known by now; "error" stands for finish reasons that may yet come."""
        reasons = self._reasons
        expected = self._expected
        name, model = word(self._id), word(self._model)
        nothing = self._usage is None and not (name or model or reasons)
        return Response(
            id=name,
            model=model,
            finish_reasons=None if nothing else finish_reasons(reasons, expected),
            service_tier=word(self._tier),
            system_fingerprint=word(self._fingerprint),
            reported=None if self._usage is None else chat_usage(self._usage),
            final=self._final,
            complete=all(reasons.get(index) for index in {*reasons, *expected}),
        )


class FilteredAccumulator(ChunkAccumulator):
    """Gathers a stream of Azure's, whose content filter speaks on any of its chunks."""

    __slots__ = ("_findings",)

    def __init__(self, expected: int | None, tell: Teller, sink: TextSink | None) -> None:
        """Gather as any other, and what was found by now."""
        super().__init__(expected, tell, sink)
        self._findings = Findings()

    def add(self, chunk: object) -> None:
        """Take the next chunk, of any type."""
        super().add(chunk)
        given = fields(chunk)
        self._findings.of_prompts(given.get("prompt_filter_results"))
        for choice in sequence(given.get("choices")):
            self._findings.of_answer(fields(choice).get("content_filter_results"))

    def response(self) -> Response:
        """Return what is known by now, and what was found in it."""
        return replace(super().response(), content_filter=self._findings.outcome())


def accumulator(request: Request, tell: Teller, sink: TextSink | None) -> ChunkAccumulator:
    """Return an empty accumulator for the chunks that ``request`` will bring."""
    azure = request.endpoint.provider == "azure.ai.openai"
    kind = FilteredAccumulator if azure else ChunkAccumulator
    return kind(request.choice_count, tell, sink)
