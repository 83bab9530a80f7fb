"""Reads answers made of choices (chat completions and completions), plain and streamed.

It also finds the usage in them; `reported_usage` reads what the usage reports.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from tokentrail.apis.content_filter import Findings, read_answer_filters
from tokentrail.apis.failures import (
    NO_ANSWER,
    as_answer,
    error_of_answer,
    error_of_body,
    error_of_choices,
    error_type,
    is_error,
)
from tokentrail.apis.reported_usage import (
    is_report,
    merge_reports,
    read_usage,
    timed_usage,
    totals,
    without_empty,
)
from tokentrail.apis.values import fields, integer, sequence, telemetry_str
from tokentrail.model.records import MOST_WAITING, SMALL, Response, ToolUse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tokentrail.model.records import Reported, Request, TextSink

MOST_CHOICES: Final = 128
"""More choices than the API returns. The finish reasons of further ones are not kept."""
CONTENT: Final = 0
"""The index of a choice's content among its items of kind "text"."""
NEVER_RECEIVED: Final = "error"
"""The conventions' finish reason of a choice whose own reason never arrived."""
NO_REASON: Final = "null"
"""The finish reason that some servers send in every chunk except the last."""
_USUAL: Final = frozenset({None, "stop", "length", "tool_calls", "function_call", "content_filter"})
"""Finish reasons that are not failures and need no further check."""
NOTHING, THOUGHT, CONTENT_SHOWN = range(3)
"""What a choice contains: nothing, only reasoning, or content."""
DEPTH: Final = 4
"""How deep in the objects of an answer a usage is looked for."""
_NONE_EXPECTED: Final = range(0)
_FIELDS: Final = ("id", "model", "service_tier", "system_fingerprint", "moderation")


_NOWHERE: Final[deque[str]] = deque(maxlen=0)
"""Accepts text that is not counted, and keeps none of it."""


class ChoiceReader(Protocol):
    """Reads the choices of one answer."""

    def feed(self, choice: Mapping[str, object], index: int, sink: TextSink) -> None:
        """Give the text of a choice to ``sink``."""

    def shows(self, choice: Mapping[str, object]) -> int:
        """Return what a choice contains: ``NOTHING``, ``THOUGHT`` or ``CONTENT_SHOWN``."""


def read_answer(answer: object, reader: ChoiceReader, sink: TextSink | None) -> Response:
    """Read a plain answer; its text goes to ``sink``.

    Anything else (such as the bare text returned for ``extra_body={"stream": True}``) has no fields
    and is not complete.
    """
    is_text = isinstance(answer, (str, bytes))
    given = as_answer(answer) if is_text or type(answer) is list else fields(answer)
    if given is None:
        return NO_ANSWER
    has_failed = cites = False
    reasons: dict[int, str | None] = {}
    filters: list[object] = []
    choices = given.get("choices")
    if type(choices) is not list:
        choices = listed(choices)
    for position, choice in enumerate(choices):
        choice_fields = fields(choice)
        index = choice_fields.get("index")
        if type(index) is not int or index in reasons:
            index = position
        if 0 <= index < MOST_CHOICES:
            reasons[index] = telemetry_str(choice_fields.get("finish_reason"))
            has_failed |= reasons[index] not in _USUAL or bool(choice_fields.get("error"))
        message = choice_fields.get("message")
        held = message if type(message) is dict else getattr(message, "__dict__", _NOTHING_HELD)
        notes = held.get("annotations")
        cites = cites or bool(notes and _cites(notes))
        if "content_filter_results" in choice_fields:
            filters.append(choice_fields["content_filter_results"])
        if sink is not None:
            reader.feed(choice_fields, index, sink)
    prompts, created = given.get("prompt_filter_results"), given.get("created")
    moderation = given.get("moderation")
    reported = read_usage(given.get("usage"))
    if reported is None or not reported.output_tokens:
        reported = read_usage(find_usage(given))
        shown = any(reader.shows(fields(choice)) for choice in choices)
        reported = without_empty(reported, shown=shown)
    error = None
    if has_failed or not choices or given.get("error"):
        error = _error_of(given, choices, is_text=is_text)
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
        tools=_SEARCHED if cites else (),
        complete=bool(choices) or "choices" in given or is_report(reported),
        # Of any size, without a call of integer(): it is only compared, never exported.
        created=created if type(created) is int else None,
        error_type=error,
        unanswered=not choices and bool(error or "choices" in given) and not is_report(reported),
    )


def listed(choices: object) -> Sequence[object]:
    """Return choices as a sequence, even a single one that a server sends without a list."""
    return sequence(choices) or ([choices] if fields(choices) else ())


def _error_of(
    given: Mapping[str, object], choices: Sequence[object], *, is_text: bool
) -> str | None:
    """Return the ``error.type`` of an answer; text without fields is an unread stream."""
    if choices:
        return error_of_answer(given, answered=True) or error_of_choices(choices)
    return error_of_body(given, "choices", given=False) if given or not is_text else None


def _cites(annotations: object) -> bool:
    """Whether pages of the web are cited: the server searched, but need not say how often."""
    return any(fields(note).get("type") == "url_citation" for note in sequence(annotations))


_NOTHING_HELD: Final[dict[str, object]] = {}
_SEARCHED: Final = (ToolUse("web_search", 1),)


def finish_reasons(reasons: Mapping[int, str | None], expected: range) -> tuple[str, ...] | None:
    """Return one reason per choice, in order of choices; "error" for reasons that never arrived."""
    if not expected and len(reasons) == 1:  # nearly always: one complete choice
        (reason,) = reasons.values()
        return (reason or NEVER_RECEIVED,)
    awaited = sorted({*reasons, *expected})
    return tuple([reasons.get(index) or NEVER_RECEIVED for index in awaited]) or None


def find_usage(answer: Mapping[str, object]) -> object:
    """Return the usage of an answer or chunk, wherever it is; ``None`` if there is none.

    If there are several, the first with a non-zero total is returned: others may have only zeros.
    """
    first = answer.get("usage")
    if first is not None and any(totals(first)):
        return first
    for usage in _usages(answer):
        if any(totals(usage)):
            return usage
        first = usage if first is None else first
    return first


_NAMES: Final = frozenset({"usage_metadata", "usageMetadata", "token_usage", "tokenUsage"})
"""Other names of the usage."""
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
"""Types of values that hold no usage."""


def _usages(answer: Mapping[str, object]) -> Iterator[object]:
    """Yield each usage that is not where OpenAI has it.

    It may be in any object of the answer (Groq has ``x_groq``), or in one inside that, in a choice,
    or in its delta or message.
    """
    for name, value in answer.items():
        kind = type(value)
        if kind in _SCALARS:  # nearly all
            continue
        if kind is dict or hasattr(kind, "__pydantic_extra__"):
            yield from _within(value, DEPTH)
        if name in _NAMES:
            yield value
    choices = answer.get("choices")
    for choice in choices if type(choices) is list else sequence(choices):
        given = fields(choice)
        for held in (given, given.get("delta"), given.get("message")):
            usage = None if held is None else fields(held).get("usage")
            if usage is not None:
                yield usage


def _within(holder: object, depth: int) -> Iterator[object]:
    """Yield the usage of an object, then those of the objects in it, so deep."""
    given = fields(holder)
    usage = given.get("usage")
    if usage is not None:
        yield usage
    if depth > 1:
        for value in given.values():
            if type(value) is dict:
                yield from _within(value, depth - 1)


class ChunkAccumulator:
    """Accumulates a stream of chunks. O(1) each, in memory bounded by ``MOST_CHOICES``.

    The last non-empty id, model, tier and fingerprint win: Azure's first chunk has empty ones. They
    are not read from a chunk that has only one more piece of content. The largest usage wins, for
    input and output separately and from any chunk: some servers send zeros after it. An empty delta
    after the usage does not count as content.
    """

    __slots__ = (
        "_asked",
        "_buffers",
        "_cites",
        "_complaint",
        "_created",
        "_error",
        "_expected",
        "_final",
        "_findings",
        "_fingerprint",
        "_has_others",
        "_id",
        "_is_in_pieces",
        "_is_last",
        "_is_running",
        "_made",
        "_measured",
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
        """Expect ``expected`` choices (one, if ``None``) and give their text to ``sink``.

        ``filtered``: the chunks may have results of a content filter. Without it, they are noticed
        only before the model is named.
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
        """The buffers for further content, by choice. A choice without one has its chunks read as
        a whole: before the model and content arrived, with a filter, and after a usage."""
        self._asked: object = None
        """The last usage with a number of input tokens."""
        self._made: object = None
        """The last usage with a number of output tokens: usually the same."""
        self._most_asked = self._most_made = -1
        self._final = True
        """Whether no content arrived after the last usage."""
        self._is_running = False
        """Whether there were several usages, each larger than the one before."""
        self._is_in_pieces = False
        """Whether a usage was smaller than an earlier one: each is of a piece, or none is right."""
        self._measured = 0
        """How many chunks had content and usage. A usage of fewer tokens is that of a piece."""
        self._is_last = True
        """Whether no choice at all arrived after the last usage."""
        self._error: str | None = None
        self._complaint: str | None = None
        """The error code of an event that is not a chunk; it counts if the stream has no end."""
        self._cites = False
        """Whether pages of the web are cited."""
        self._has_others = False
        """Whether there were events that are not chunks of an answer."""
        self._says = False
        """Whether text, reasoning or a tool call has arrived."""
        self.has_content = False
        """Whether content has arrived: text, a refusal, audio or a tool call."""

    def add(self, chunk: object) -> None:
        """Take the next chunk, of any type."""
        # The hot path: most chat chunks have one piece of content and nothing else.
        try:
            given = chunk.__dict__
            (choice,) = given["choices"]
            choice_fields = choice.__dict__
            delta = choice_fields["delta"]
            content = delta.__dict__["content"]
            buffer = self._buffers[choice_fields["index"]]
            if (
                len(buffer) < MOST_WAITING
                and len(content) <= SMALL
                and type(content) is str
                and given["usage"] is None
                and choice_fields["finish_reason"] is None
                and len(delta.__pydantic_fields_set__) == 1
                and not delta.__pydantic_extra__
            ):
                buffer.append(content)
                return
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        self._add(fields(chunk))

    def _add(self, given: Mapping[str, object]) -> None:
        name, model, tier, fingerprint, moderation = map(given.get, _FIELDS)
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
        choices, shown = given.get("choices"), NOTHING
        if type(choices) is not list:
            choices = listed(choices)
            self._has_others |= not choices
        for choice in choices:
            shown = max(shown, self._choose(fields(choice)))
        if not choices or given.get("error") is not None:
            self._note_error(given, has_choices=bool(choices))
        self._note_usage(given, shown, has_choices=bool(choices))

    def _note_error(self, given: Mapping[str, object], *, has_choices: bool) -> None:
        """Note an error, or the complaint of an event that is not a chunk."""
        if is_error(given.get("error")):
            self._error = error_type(given["error"])
        elif not has_choices:
            self._complaint = error_of_answer(given, answered=False) or self._complaint

    def _note_usage(self, given: Mapping[str, object], shown: int, *, has_choices: bool) -> None:
        """Take the usage of a chunk, or note that more arrived after the last usage."""
        usage = find_usage(given)
        if usage is None and "timings" in given:
            usage = timed_usage(given["timings"])
        if usage is not None:
            self._buffers.clear()  # so that later content shows that this usage was not final
        if usage is not None and self._takes(usage):
            self._measured += shown == CONTENT_SHOWN
            self._final = self._is_last = True
        elif shown:
            self._final = False
        elif has_choices:
            self._is_last = False

    def _choose(self, choice_fields: Mapping[str, object]) -> int:
        """Note a choice and its finish reason; a choice without an index is the first.

        Return what it contains, if that matters: until content arrived, and after a usage.
        """
        index = choice_fields.get("index")
        reason: Any = choice_fields.get("finish_reason")
        known = index if type(index) is int else 0
        if reason is not None:
            reason = None if reason == NO_REASON else telemetry_str(reason)
        if 0 <= known < MOST_CHOICES:
            self._reasons[known] = reason or self._reasons.get(known)
        if reason not in _USUAL or choice_fields.get("error"):
            self._error = error_of_choices((choice_fields,)) or self._error
        notes = fields(choice_fields.get("delta")).get("annotations")
        self._cites = self._cites or bool(notes and _cites(notes))
        if self._sink is not None:
            self._reader.feed(choice_fields, known, self._sink)
        shown = NOTHING
        if not self.has_content or self._most_made >= 0:
            shown = self._reader.shows(choice_fields)
            self._says |= bool(shown)
            self.has_content |= shown == CONTENT_SHOWN
        lends = self.has_content and self._model is not None and self._findings is None
        if lends and known in self._reasons:
            self._lend_buffer(known)
        return shown

    def _lend_buffer(self, index: int) -> None:
        """Get a buffer for further content of a choice, if the sink offers one."""
        sink = self._sink
        buffer: list[str] | deque[str] | None
        buffer = _NOWHERE if sink is None else sink.append_buffer("text", index, CONTENT)
        if buffer is not None:
            self._buffers[index] = buffer

    def _takes(self, usage: object) -> bool:
        """Keep a usage that reports more; return whether it reports an output total."""
        asked, made = totals(usage)
        if made is not None and (asked, made) == (self._most_asked, self._most_made):
            usage = _joined(self._made, usage)
        if asked is not None and asked >= self._most_asked:
            self._asked, self._most_asked = usage, asked
        if made is not None and made >= self._most_made:
            self._is_running |= 0 < self._most_made < made
            self._made, self._most_made = usage, made
        elif made:
            self._is_in_pieces = True
        return made is not None

    def _find(self, given: Mapping[str, object]) -> None:
        """Take the results of a content filter, if there are any."""
        prompts = given.get("prompt_filter_results")
        if self._findings is None:
            if prompts is None:
                return
            self._findings = Findings()
        self._findings.of_prompts(prompts)
        for choice in sequence(given.get("choices")):
            self._findings.of_answer(fields(choice).get("content_filter_results"))

    def response(self) -> Response:
        """Return the response so far; finish reasons that have not arrived are "error"."""
        reasons = self._reasons
        expected = self._expected
        findings = self._findings
        ended = bool(reasons) and all(reasons.values())
        name, model = telemetry_str(self._id), telemetry_str(self._model)
        answered = reasons or name or model or self._most_asked > 0 or self._most_made > 0
        reported = self._reported()
        if reported is not None:
            reported = without_empty(reported, shown=self._says)
        return Response(
            id=name,
            model=model,
            finish_reasons=finish_reasons(reasons, expected),
            service_tier=telemetry_str(self._tier),
            system_fingerprint=telemetry_str(self._fingerprint),
            content_filter=None if findings is None else findings.outcome(),
            reported=reported,
            tools=_SEARCHED if self._cites else (),
            # A running total may be of the chunk before, so even an empty later choice outdates it.
            final=self._final
            and (self._is_last or not self._is_running)
            and not self._is_in_pieces
            and self._measured <= max(self._most_made, 0),
            complete=all(reasons.get(index) for index in {*reasons, *expected}),
            ended=ended,
            unanswered=self._has_others and not answered,
            created=integer(self._created),
            error_type=self._error or (None if ended else self._complaint),
        )

    def _reported(self) -> Reported | None:
        asked, made = self._asked, self._made
        if asked is None and made is None:
            return None
        read = read_usage(made)
        return read if asked is made else merge_reports(read_usage(asked), read)


def _joined(earlier: object, usage: object) -> object:
    """Return a usage that is repeated, with the parts that only the earlier one has."""
    now = fields(usage)
    more = {name: part for name, part in fields(earlier).items() if now.get(name) is None}
    return {**now, **more} if any(more.values()) else usage


def accumulator(request: Request, reader: ChoiceReader, sink: TextSink | None) -> ChunkAccumulator:
    """Return an empty accumulator for the chunks of the answer to ``request``."""
    azure = request.endpoint.provider == "azure.ai.openai"
    return ChunkAccumulator(request.choice_count, reader, sink, filtered=azure)
