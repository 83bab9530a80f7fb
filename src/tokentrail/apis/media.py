"""Operations that the conventions do not name: images, audio, moderations, decisions.

Nothing of them is counted but the characters to be spoken. Only the server's own numbers are kept:
no prompt, image or audio is read. The table of adapters at the end lists the operations.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from tokentrail.apis.parameters import COMMON, choice_count
from tokentrail.apis.reported_usage import audio_usage, cost_in_usd, read_usage
from tokentrail.apis.values import Parameters, fields, plain_str, telemetry_str
from tokentrail.model import operations
from tokentrail.model.records import Reported, Response, ToolUse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.model.records import Endpoint, Request, TextSink

_DONE: Final = frozenset(
    {"image_generation.completed", "image_edit.completed", "transcript.text.done"}
)
"""The events that end a stream, or one of its images."""
_OUTPUT_FIELDS: Final = ("output_tokens", "text_output_tokens", "image_output_tokens")
"""Usage that each of several images has of its own; all of them share the input."""
_SPEECH_DONE: Final = b'"speech.audio.done"'
_TAIL: Final = 4096
"""How many bytes at the end of streamed speech are searched for its last event."""
_FORMS: Final = {
    "json": "json",
    "verbose_json": "json",
    "diarized_json": "json",
    "text": "text",
    "srt": "text",
    "vtt": "text",
}


_SVG: Final = (ToolUse("svg", None),)
"""Images may be drawn as SVG by another model, which is billed apart and has no price here."""


def _nothing(answer: object) -> None:
    """Return no usage: the answer has none."""


def _form(given: object) -> str | None:
    return _FORMS.get(plain_str(given) or "")


def _length(text: object) -> int | None:
    return len(text) if isinstance(text, str) else None


def _own(answer: object) -> Reported | None:
    return read_usage(fields(answer).get("usage"))


def _images(answer: object) -> Reported | None:
    """Return the tokens of images, or what xAI reports in their place: the cost alone."""
    usage = fields(answer).get("usage")
    reported = read_usage(usage)
    cost = cost_in_usd(fields(usage)) if reported is None else None
    return reported if cost is None else Reported(cost=cost)


def _transcript(answer: object) -> Reported | None:
    given = fields(answer)
    return audio_usage(given.get("usage"), given.get("duration"))


def _speech(answer: object) -> Reported | None:
    """Return the usage of speech requested as events; plain audio has none.

    The client has read the whole answer, and only its bytes in memory are searched. An answer that
    was not parsed is passed as its bytes, or as the fields at both ends of a large body.
    """
    content = answer if type(answer) is bytes else _bytes_in_memory(answer)
    if type(content) is not bytes:
        return audio_usage(fields(answer).get("usage"))
    found = content.rfind(_SPEECH_DONE, max(0, len(content) - _TAIL))
    start = content.rfind(b"data:", 0, found) if found >= 0 else -1
    if start < 0:
        return None
    line = content[start + len(b"data:") :].partition(b"\n")[0]
    try:
        return audio_usage(fields(json.loads(line)).get("usage"))
    except (ValueError, RecursionError):
        return None


def _bytes_in_memory(answer: object) -> object:
    return fields(fields(answer).get("response")).get("_content")


@dataclass(frozen=True, slots=True, eq=False)
class MediaAdapter:
    """One operation: its name, and how its requests and answers are read."""

    operation: str
    usage: Callable[[object], Reported | None] = _nothing
    parameters: Parameters = field(default_factory=lambda: Parameters(*COMMON))
    output_type: str | None = None
    """The output type, if it does not depend on the request."""

    def parse_request(
        self,
        endpoint: Endpoint,
        arguments: Mapping[str, object],
        *,
        prompt: bool = True,
    ) -> Request:
        """Read the keyword arguments, but no files, prompts or texts."""
        known: dict[str, Any] = {}
        if self.output_type is not None:
            known["output_type"] = self.output_type
        return self.parameters.read(
            arguments,
            operation=self.operation,
            api=None,
            endpoint=endpoint,
            **known,
        )

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a plain answer: an object, text or audio. The sink gets nothing."""
        given = fields(answer)
        return Response(
            id=telemetry_str(given.get("id")),
            model=telemetry_str(given.get("model")),
            reported=self.usage(answer),
            tools=() if given.get("svg_usage") is None else _SVG,
        )

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> FinalUsage:
        """Return an accumulator for the usage at the end of a stream."""
        return FinalUsage(self.usage, request.choice_count or 1)


class FinalUsage:
    """Reads only the usage at the end of a stream; it ignores images and text."""

    __slots__ = ("_awaited", "_read", "_reported", "has_content")

    def __init__(self, read: Callable[[object], Reported | None], awaited: int) -> None:
        """``awaited``: how many final events the stream will have."""
        self._read = read
        self._awaited = awaited
        self._reported: Reported | None = None
        self.has_content = False

    def add(self, chunk: object) -> None:
        """Take the next event."""
        self.has_content = True  # each event is a piece of text or audio, or an image
        if fields(chunk).get("type") in _DONE:
            self._awaited -= 1
            self._reported = _merged(self._reported, self._read(chunk))

    def response(self) -> Response:
        """Return the response so far."""
        complete = self._awaited <= 0
        return Response(
            reported=self._reported,
            final=complete,  # else images are missing that the report does not have
            complete=complete,
            ended=complete,
        )


def _merged(earlier: Reported | None, latest: Reported | None) -> Reported | None:
    """Return the usage of images that are reported one by one.

    As the client documents: the tokens "in the output image" add up. The tokens "in the input
    prompt" are the same for all images, as in the report of a plain answer.
    """
    if earlier is None or latest is None:
        return latest or earlier
    made = {name: _sum(getattr(earlier, name), getattr(latest, name)) for name in _OUTPUT_FIELDS}
    return replace(latest, **made)


def _sum(earlier: int | None, latest: int | None) -> int | None:
    return latest if earlier is None else earlier + (latest or 0)


_PICTURES: Final = Parameters(*COMMON, ("n", "choice_count", choice_count))
_SPEECH: Final = Parameters(*COMMON, ("input", "spoken_characters", _length))
_TRANSCRIPTS: Final = Parameters(*COMMON, ("response_format", "output_type", _form))

GENERATE_IMAGE: Final = MediaAdapter(operations.GENERATE_IMAGE.name, _images, _PICTURES, "image")
EDIT_IMAGE: Final = MediaAdapter(operations.EDIT_IMAGE.name, _images, _PICTURES, "image")
VARY_IMAGE: Final = MediaAdapter(operations.VARY_IMAGE.name, _images, _PICTURES, "image")
TRANSCRIBE: Final = MediaAdapter(operations.TRANSCRIBE.name, _transcript, _TRANSCRIPTS)
TRANSLATE: Final = MediaAdapter(operations.TRANSLATE.name, _transcript, _TRANSCRIPTS)
SPEAK: Final = MediaAdapter(operations.SPEAK.name, _speech, _SPEECH, "speech")
MODERATE: Final = MediaAdapter(operations.MODERATE.name)
DECIDE: Final = MediaAdapter(operations.DECIDE.name, _own)
