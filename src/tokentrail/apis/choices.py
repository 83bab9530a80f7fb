"""Answers made of choices, as chat completions and completions give them, plain and streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.content_filter import Findings, read_answer_filters
from tokentrail.apis.reported_usage import chat_usage, has_numbers, merge_usage
from tokentrail.apis.values import fields, integer, sequence, telemetry_str
from tokentrail.model.records import Response
from tokentrail.model.text_buffer import MOST_WAITING, NOWHERE, SMALL

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Mapping

    from tokentrail.model.records import Reported, Request, TextSink
    from tokentrail.model.text_buffer import TextBuffer

    FeedText = Callable[[Mapping[str, object], int, TextSink], None]
    """Hands the text of a choice, given by its fields and index, to the sink."""

MOST_CHOICES: Final = 128
"""More choices than the API gives. The finish reasons of further ones are not kept."""
CONTENT: Final = 0
"""The item of kind "text" that is a choice's content."""
NEVER_RECEIVED: Final = "error"
"""The conventions' finish reason for a choice whose own never came."""
_FIELDS: Final = ("id", "model", "service_tier", "system_fingerprint", "usage")


def index_of(given: Mapping[str, object], position: int) -> int:
    """Return the index that a choice or tool call bears; its position where it bears none."""
    index = given.get("index")
    return index if type(index) is int else position


def read_answer(answer: object, feed: FeedText, sink: TextSink | None) -> Response:
    """Read a plain answer; ``tell`` hands over the text of one choice.

    What is no such answer (the bare text that ``extra_body={"stream": True}`` gives) tells
    nothing and is not complete.
    """
    given = fields(answer)
    reasons: dict[int, str | None] = {}
    filters: list[object] = []
    choices = given.get("choices")
    for position, choice in enumerate(choices if type(choices) is list else sequence(choices)):
        said = fields(choice)
        index = said.get("index")
        if type(index) is not int:
            index = position
        if 0 <= index < MOST_CHOICES:
            reasons[index] = telemetry_str(said.get("finish_reason"))
        if "content_filter_results" in said:
            filters.append(said["content_filter_results"])
        if sink is not None:
            feed(said, index, sink)
    prompts, created = given.get("prompt_filter_results"), given.get("created")
    return Response(
        id=telemetry_str(given.get("id")),
        model=telemetry_str(given.get("model")),
        finish_reasons=finish_reasons(reasons, range(0)),
        service_tier=telemetry_str(given.get("service_tier")),
        system_fingerprint=telemetry_str(given.get("system_fingerprint")),
        content_filter=None
        if prompts is None and not filters
        else read_answer_filters(prompts, filters),
        reported=chat_usage(given.get("usage")),
        complete=bool(given),
        # Of any size, without a call of integer(): it is compared and never exported.
        created=created if type(created) is int else None,
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

    The last non-empty id, model, tier and fingerprint win: Azure's first chunk has empty ones. They
    are not looked for where a chunk bears one more piece of content and nothing else.
    Of usage the last wins, for each direction apart, on whatever chunk it stood.
    """

    __slots__ = (
        "_asked",
        "_beside",
        "_buffers",
        "_created",
        "_expected",
        "_feed",
        "_final",
        "_findings",
        "_fingerprint",
        "_id",
        "_made",
        "_model",
        "_reasons",
        "_sink",
        "_tier",
    )  # fmt: skip

    def __init__(
        self, expected: int | None, feed: FeedText, sink: TextSink | None, *, filtered: bool = False
    ) -> None:
        """Await ``expected`` choices (one, if ``None``) and hand their text to ``tell``.

        ``filtered``: a content filter speaks on its chunks. One that speaks first is heard, too.
        """
        self._expected = range(min(max(expected or 1, 1), MOST_CHOICES))
        self._feed = feed
        self._sink = sink
        self._findings = Findings() if filtered else None
        self._id: object = None
        self._model: object = None
        self._created: object = None
        self._tier: object = None
        self._fingerprint: object = None
        self._reasons: dict[int, str | None] = {}
        self._buffers: dict[object, TextBuffer | deque[str]] = {}
        """Where more content of a choice may be left; none where its chunks are read as a whole:
        before the model is named, where a filter speaks, and after a usage."""
        self._asked: object = None
        """The last usage that said what the input was."""
        self._made: object = None
        """The last that said what the output was by then: most often the same."""
        self._final = True
        self._beside = False
        """The last usage stood beside a choice, as some servers' does on every chunk."""

    def add(self, chunk: object) -> None:
        """Take the next chunk, of any type."""
        # The hot path: most chunks of chat bear a piece of content and nothing else.
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
        name, model, tier, fingerprint, usage = map(given.get, _FIELDS)
        if self._findings is not None or self._model is None:
            self._find(given)
        if name:
            self._id = name
        if model:
            self._model = model
            self._created = given.get("created")
        if tier:
            self._tier = tier
        if fingerprint:
            self._fingerprint = fingerprint
        choices = given.get("choices")
        known = choices if type(choices) is list else ()
        if usage is not None and self._takes(usage):
            self._final = True
            self._beside = bool(known)
        elif known:
            self._final = False
        for choice in known:
            self._choose(fields(choice))
        if usage is not None:
            self._buffers.clear()  # content that comes after it is to show that it was not final

    def _choose(self, said: Mapping[str, object]) -> None:
        """Note a choice and its finish reason; one that bears no index is the first."""
        index = said.get("index")
        known = index if type(index) is int else 0
        if 0 <= known < MOST_CHOICES:
            self._reasons[known] = telemetry_str(said.get("finish_reason")) or self._reasons.get(
                known
            )
        if self._sink is not None:
            self._feed(said, known, self._sink)
        if self._model is not None and self._findings is None and known in self._reasons:
            self._lend_buffer(known)

    def _lend_buffer(self, index: int) -> None:
        """Have further content of a choice left where it is awaited, if it may be."""
        sink = self._sink
        buffer = NOWHERE if sink is None else sink.append_buffer("text", index, CONTENT)
        if buffer is not None:
            self._buffers[index] = buffer

    def _takes(self, usage: object) -> bool:
        """Keep a usage that says anything; return whether it says what the output is by now."""
        asked, made = has_numbers(usage)
        if asked:
            self._asked = usage
        if made:
            self._made = usage
        return made

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
        return Response(
            id=telemetry_str(self._id),
            model=telemetry_str(self._model),
            finish_reasons=finish_reasons(reasons, expected),
            service_tier=telemetry_str(self._tier),
            system_fingerprint=telemetry_str(self._fingerprint),
            content_filter=None if findings is None else findings.outcome(),
            reported=self._reported(),
            final=self._final and (not self._beside or any(reasons.values())),
            complete=all(reasons.get(index) for index in {*reasons, *expected}),
            created=integer(self._created),
        )

    def _reported(self) -> Reported | None:
        asked, made = self._asked, self._made
        if asked is None and made is None:
            return None
        return chat_usage(asked) if asked is made else chat_usage(merge_usage(asked, made))


def accumulator(request: Request, feed: FeedText, sink: TextSink | None) -> ChunkAccumulator:
    """Return an empty accumulator for the chunks that ``request`` will bring."""
    azure = request.endpoint.provider == "azure.ai.openai"
    return ChunkAccumulator(request.choice_count, feed, sink, filtered=azure)
