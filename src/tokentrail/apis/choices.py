"""Answers made of choices, as chat completions and completions give them, plain and streamed.

And where the usage stands in them: what it reports is read by `reported_usage`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from tokentrail.apis.content_filter import Findings, read_answer_filters
from tokentrail.apis.failures import (
    NO_ANSWER,
    as_answer,
    error_of_answer,
    error_of_choices,
    error_type,
    is_error,
)
from tokentrail.apis.reported_usage import merge_reports, read_usage, totals, without_empty
from tokentrail.apis.values import fields, integer, sequence, telemetry_str
from tokentrail.model.records import MOST_WAITING, SMALL, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.model.records import Reported, Request, TextSink

MOST_CHOICES: Final = 128
"""More choices than the API gives. The finish reasons of further ones are not kept."""
CONTENT: Final = 0
"""The item of kind "text" that is a choice's content."""
NEVER_RECEIVED: Final = "error"
"""The conventions' finish reason for a choice whose own never came."""
NOTHING, THOUGHT, CONTENT_SHOWN = range(3)
"""What a choice shows: nothing, only reasoning, or content."""
_NONE_EXPECTED: Final = range(0)
_USAGE_HOLDERS: Final = ("x_groq",)
"""Objects of an answer in which a usage stands, where the answer itself has none."""
_FIELDS: Final = (
    "id", "model", "service_tier", "system_fingerprint", "usage", "moderation",
)  # fmt: skip


_NOWHERE: Final[deque[str]] = deque(maxlen=0)
"""Takes text that nobody counts, and holds none."""


class ChoiceReader(Protocol):
    """Reads the choices of one answer."""

    def feed(self, choice: Mapping[str, object], index: int, sink: TextSink) -> None:
        """Hand the text of a choice to the sink."""

    def shows(self, choice: Mapping[str, object]) -> int:
        """Return what it shows: ``NOTHING``, ``THOUGHT`` or ``CONTENT_SHOWN``."""


def read_answer(answer: object, reader: ChoiceReader, sink: TextSink | None) -> Response:
    """Read a plain answer, its text into ``sink``.

    Anything else (such as the bare text that ``extra_body={"stream": True}`` gives) has no fields
    and is not complete.
    """
    given = as_answer(answer) if isinstance(answer, (str, bytes)) else fields(answer)
    if given is None:
        return NO_ANSWER
    has_failed = False
    reasons: dict[int, str | None] = {}
    filters: list[object] = []
    choices = given.get("choices")
    if type(choices) is not list:
        choices = sequence(choices)
    for position, choice in enumerate(choices):
        said = fields(choice)
        index = said.get("index")
        if type(index) is not int:
            index = position
        if 0 <= index < MOST_CHOICES:
            reasons[index] = telemetry_str(said.get("finish_reason"))
            has_failed |= reasons[index] == "error" or bool(said.get("error"))
        if "content_filter_results" in said:
            filters.append(said["content_filter_results"])
        if sink is not None:
            reader.feed(said, index, sink)
    prompts, created = given.get("prompt_filter_results"), given.get("created")
    moderation = given.get("moderation")
    usage, error = given.get("usage"), None
    reported = read_usage(find_usage(given) if usage is None else usage)
    if reported is not None and not reported.output_tokens:
        shown = any(reader.shows(fields(choice)) for choice in choices)
        reported = without_empty(reported, shown=shown)
    if has_failed or not choices or given.get("error"):
        error = error_of_answer(given, answered=bool(choices)) or error_of_choices(choices)
    return Response(
        id=telemetry_str(given.get("id")),
        model=telemetry_str(given.get("model")),
        finish_reasons=finish_reasons(reasons, _NONE_EXPECTED),
        service_tier=telemetry_str(given.get("service_tier")),
        system_fingerprint=telemetry_str(given.get("system_fingerprint")),
        content_filter=None
        if prompts is None and not filters and moderation is None
        else read_answer_filters(prompts, filters, moderation),
        reported=reported,
        complete=bool(given),
        # Of any size, without a call of integer(): it is compared and never exported.
        created=created if type(created) is int else None,
        error_type=error,
        unanswered=error is not None and not choices and reported is None,
    )


def finish_reasons(reasons: Mapping[int, str | None], expected: range) -> tuple[str, ...] | None:
    """Return one reason per choice in choice order, "error" for those that never came."""
    if not expected and len(reasons) == 1:  # as nearly always: one choice, whole
        (reason,) = reasons.values()
        return (reason or NEVER_RECEIVED,)
    awaited = sorted({*reasons, *expected})
    return tuple([reasons.get(index) or NEVER_RECEIVED for index in awaited]) or None


def find_usage(answer: Mapping[str, object]) -> object:
    """Return the usage of an answer or a chunk, wherever it stands; ``None`` if there is none."""
    usage = answer.get("usage")
    if usage is not None:
        return usage
    for name in _USAGE_HOLDERS:
        if name in answer and (usage := fields(answer[name]).get("usage")) is not None:
            return usage
    choices = answer.get("choices")
    for choice in choices if type(choices) is list else sequence(choices):
        if (usage := fields(choice).get("usage")) is not None:
            return usage
    return None


class ChunkAccumulator:
    """Gathers a stream of chunks. O(1) each, in memory bounded by ``MOST_CHOICES``.

    The last non-empty id, model, tier and fingerprint win: Azure's first chunk has empty ones. They
    are not read from a chunk that has one more piece of content and nothing else. Of usage the
    largest wins, for each direction apart, on whatever chunk it stood: some servers send zeros
    after it. A delta that is empty is no content that comes after it.
    """

    __slots__ = (
        "_asked",
        "_buffers",
        "_created",
        "_error",
        "_expected",
        "_final",
        "_findings",
        "_fingerprint",
        "_id",
        "_is_last",
        "_is_running",
        "_made",
        "_model",
        "_most_asked",
        "_most_made",
        "_reader",
        "_reasons",
        "_says",
        "_sink",
        "_tier",
        "has_content",
    )  # fmt: skip

    def __init__(
        self,
        expected: int | None,
        reader: ChoiceReader,
        sink: TextSink | None,
        *,
        filtered: bool = False,
    ) -> None:
        """Await ``expected`` choices (one, if ``None``) and hand their text to ``sink``.

        ``filtered``: a content filter speaks on its chunks. One that speaks first is heard, too.
        """
        self._expected = range(min(max(expected or 1, 1), MOST_CHOICES))
        self._reader = reader
        self._sink = sink
        self._findings = Findings() if filtered else None
        self._id: object = None
        self._model: object = None
        self._created: object = None
        self._tier: object = None
        self._fingerprint: object = None
        self._reasons: dict[int, str | None] = {}
        self._buffers: dict[object, list[str] | deque[str]] = {}
        """Where more content of a choice may be left; none where its chunks are read as a whole:
        before the model is named and content came, where a filter speaks, and after a usage."""
        self._asked: object = None
        """The last usage with a number of input tokens."""
        self._made: object = None
        """The last usage with a number of output tokens: usually the same."""
        self._most_asked = self._most_made = -1
        self._final = True
        """No content came after the last usage."""
        self._is_running = False
        """There were several, each larger than the one before."""
        self._is_last = True
        """No choice at all came after the last one."""
        self._error: str | None = None
        self._says = False
        """Text, reasoning or a tool call has arrived."""
        self.has_content = False
        """Content has arrived: text, a refusal, audio or a tool call."""

    def add(self, chunk: object) -> None:
        """Take the next chunk, of any type."""
        # The hot path: most chunks of chat have a piece of content and nothing else.
        try:
            given = chunk.__dict__
            (choice,) = given["choices"]
            said = choice.__dict__
            delta = said["delta"]
            content = delta.__dict__["content"]
            buffer = self._buffers[said["index"]]
            if (
                len(buffer) < MOST_WAITING
                and len(content) <= SMALL
                and type(content) is str
                and given["usage"] is None
                and said["finish_reason"] is None
                and len(delta.__pydantic_fields_set__) == 1
                and not delta.__pydantic_extra__
            ):
                buffer.append(content)
                return
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        self._add(fields(chunk))

    def _add(self, given: Mapping[str, object]) -> None:
        name, model, tier, fingerprint, usage, moderation = map(given.get, _FIELDS)
        if self._findings is not None or self._model is None:
            self._find(given)
        if moderation is not None:
            self._findings = self._findings or Findings()
            self._findings.of_moderation(moderation)
        if name:
            self._id = name
        if model:
            self._model = model
            self._created = given.get("created")
        if tier:
            self._tier = tier
        if fingerprint:
            self._fingerprint = fingerprint
        error = given.get("error")
        if error is not None and is_error(error):
            self._error = error_type(error)
        choices, said = given.get("choices"), NOTHING
        for choice in choices if type(choices) is list else ():
            said = max(said, self._choose(fields(choice)))
        usage = find_usage(given) if usage is None else usage
        self._note_usage(usage, said, has_choices=bool(choices))

    def _note_usage(self, usage: object, said: int, *, has_choices: bool) -> None:
        """Take the usage of a chunk, or note that there was more after the last one."""
        if usage is not None:
            self._buffers.clear()  # content that comes after it is to show that it was not final
        if usage is not None and self._takes(usage):
            self._final = self._is_last = True
        elif said:
            self._final = False
        elif has_choices:
            self._is_last = False

    def _choose(self, said: Mapping[str, object]) -> int:
        """Note a choice and its finish reason; one without an index is the first.

        Return what it shows, where that matters: until content came, and after a usage.
        """
        index, reason = said.get("index"), said.get("finish_reason")
        known = index if type(index) is int else 0
        if 0 <= known < MOST_CHOICES:
            self._reasons[known] = telemetry_str(reason) or self._reasons.get(known)
        if reason == "error" or said.get("error"):
            self._error = error_of_choices((said,)) or self._error
        if self._sink is not None:
            self._reader.feed(said, known, self._sink)
        shown = NOTHING
        if not self.has_content or self._most_made >= 0:
            shown = self._reader.shows(said)
            self._says |= bool(shown)
            self.has_content |= shown == CONTENT_SHOWN
        lends = self.has_content and self._model is not None and self._findings is None
        if lends and known in self._reasons:
            self._lend_buffer(known)
        return shown

    def _lend_buffer(self, index: int) -> None:
        """Have further content of a choice left where it is awaited, if it may be."""
        sink = self._sink
        buffer: list[str] | deque[str] | None
        buffer = _NOWHERE if sink is None else sink.append_buffer("text", index, CONTENT)
        if buffer is not None:
            self._buffers[index] = buffer

    def _takes(self, usage: object) -> bool:
        """Keep a usage that reports more; return whether it reports the output so far."""
        asked, made = totals(usage)
        if asked is not None and asked >= self._most_asked:
            self._asked, self._most_asked = usage, asked
        if made is not None and made >= self._most_made:
            self._is_running |= 0 < self._most_made < made
            self._made, self._most_made = usage, made
        return made is not None

    def _find(self, given: Mapping[str, object]) -> None:
        """Take what a content filter found, where there is one."""
        prompts = given.get("prompt_filter_results")
        if self._findings is None:
            if prompts is None:
                return
            self._findings = Findings()
        self._findings.of_prompts(prompts)
        for choice in sequence(given.get("choices")):
            self._findings.of_answer(fields(choice).get("content_filter_results"))

    def response(self) -> Response:
        """Return what is known by now; "error" stands for finish reasons that may yet come."""
        reasons = self._reasons
        expected = self._expected
        findings = self._findings
        reported = self._reported()
        if reported is not None:
            reported = without_empty(reported, shown=self._says)
        return Response(
            id=telemetry_str(self._id),
            model=telemetry_str(self._model),
            finish_reasons=finish_reasons(reasons, expected),
            service_tier=telemetry_str(self._tier),
            system_fingerprint=telemetry_str(self._fingerprint),
            content_filter=None if findings is None else findings.outcome(),
            reported=reported,
            # A running total may be that of the chunk before: then even an empty one outdates it.
            final=self._final and (self._is_last or not self._is_running),
            complete=all(reasons.get(index) for index in {*reasons, *expected}),
            ended=bool(reasons) and all(reasons.values()),
            created=integer(self._created),
            error_type=self._error,
        )

    def _reported(self) -> Reported | None:
        asked, made = self._asked, self._made
        if asked is None and made is None:
            return None
        read = read_usage(made)
        return read if asked is made else merge_reports(read_usage(asked), read)


def accumulator(request: Request, reader: ChoiceReader, sink: TextSink | None) -> ChunkAccumulator:
    """Return an empty accumulator for the chunks that ``request`` will bring."""
    azure = request.endpoint.provider == "azure.ai.openai"
    return ChunkAccumulator(request.choice_count, reader, sink, filtered=azure)
