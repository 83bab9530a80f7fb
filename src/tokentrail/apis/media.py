"""Operations that the conventions have no name for: images, sound, moderations, decisions.

Of these nothing is counted and nothing kept but the server's own numbers: no prompt, picture or
sound is ever looked at. One table of shapes says what there is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from tokentrail.apis.parameters import COMMON, choice_count
from tokentrail.apis.reported_usage import audio_usage, read_usage
from tokentrail.apis.values import Parameters, fields, plain_str, telemetry_str
from tokentrail.model import operations
from tokentrail.model.records import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.model.records import Endpoint, Reported, Request, TextSink

_DONE: Final = frozenset(
    {"image_generation.completed", "image_edit.completed", "transcript.text.done"}
)
"""The events that end a stream, or one of the pictures of it."""
_OUTPUT_FIELDS: Final = ("output_tokens", "text_output_tokens", "image_output_tokens")
"""What each of several pictures is billed for itself; what was read is the same for all."""
_SPEECH_DONE: Final = b'"speech.audio.done"'
_TAIL: Final = 4096
"""Bytes at the end of streamed speech in which its last event is looked for."""
_FORMS: Final = {
    "json": "json",
    "verbose_json": "json",
    "diarized_json": "json",
    "text": "text",
    "srt": "text",
    "vtt": "text",
}


def _nothing(answer: object) -> None:
    """Find no usage: the answer has none."""


def _form(given: object) -> str | None:
    return _FORMS.get(plain_str(given) or "")


def _own(answer: object) -> Reported | None:
    return read_usage(fields(answer).get("usage"))


def _transcript(answer: object) -> Reported | None:
    given = fields(answer)
    return audio_usage(given.get("usage"), given.get("duration"))


def _speech(answer: object) -> Reported | None:
    """Return the usage of speech that was asked for as events; sound itself has none.

    The client has read the answer whole: only what it keeps is looked at, or what was found in the
    body of an answer that nobody parsed (its bytes, or of a large one the fields at its ends).
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
    """One operation: what it is called here, what is read of its requests and of its answers."""

    operation: str
    usage: Callable[[object], Reported | None] = _nothing
    parameters: Parameters = field(default_factory=lambda: Parameters(*COMMON))
    output_type: str | None = None
    """What there is to get, whatever is asked."""

    def parse_request(
        self,
        endpoint: Endpoint,
        arguments: Mapping[str, object],
        *,
        prompt: bool = True,
    ) -> Request:
        """Read the keyword arguments; files, prompts and texts are left alone."""
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
        """Read a plain answer: an object, a text or sound. None of it is for the sink."""
        given = fields(answer)
        return Response(
            id=telemetry_str(given.get("id")),
            model=telemetry_str(given.get("model")),
            reported=self.usage(answer),
        )

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> FinalUsage:
        """Return what waits for the usage at the end of a stream."""
        return FinalUsage(self.usage, request.choice_count or 1)


class FinalUsage:
    """A stream of which only the end counts; pictures and text pass by."""

    __slots__ = ("_awaited", "_read", "_reported", "has_content")

    def __init__(self, read: Callable[[object], Reported | None], awaited: int) -> None:
        """``awaited``: how many events of the end there will be."""
        self._read = read
        self._awaited = awaited
        self._reported: Reported | None = None
        self.has_content = False

    def add(self, chunk: object) -> None:
        """Take the next event."""
        self.has_content = True  # each is a piece of text or sound, or a picture
        if fields(chunk).get("type") in _DONE:
            self._awaited -= 1
            self._reported = _merged(self._reported, self._read(chunk))

    def response(self) -> Response:
        """Return what is known by now."""
        complete = self._awaited <= 0
        return Response(reported=self._reported, complete=complete, ended=complete)


def _merged(earlier: Reported | None, latest: Reported | None) -> Reported | None:
    """Return the usage of pictures that are reported one by one.

    The client documents it so: the tokens "in the output image", which add up, and those "in the
    input prompt", which is one for all of them, as in the report of an answer that comes whole.
    """
    if earlier is None or latest is None:
        return latest or earlier
    made = {name: _sum(getattr(earlier, name), getattr(latest, name)) for name in _OUTPUT_FIELDS}
    return replace(latest, **made)


def _sum(earlier: int | None, latest: int | None) -> int | None:
    return latest if earlier is None else earlier + (latest or 0)


_PICTURES: Final = Parameters(*COMMON, ("n", "choice_count", choice_count))
_TRANSCRIPTS: Final = Parameters(*COMMON, ("response_format", "output_type", _form))

GENERATE_IMAGE: Final = MediaAdapter(operations.GENERATE_IMAGE.name, _own, _PICTURES, "image")
EDIT_IMAGE: Final = MediaAdapter(operations.EDIT_IMAGE.name, _own, _PICTURES, "image")
VARY_IMAGE: Final = MediaAdapter(operations.VARY_IMAGE.name, _own, _PICTURES, "image")
TRANSCRIBE: Final = MediaAdapter(operations.TRANSCRIBE.name, _transcript, _TRANSCRIPTS)
TRANSLATE: Final = MediaAdapter(operations.TRANSLATE.name, _transcript, _TRANSCRIPTS)
SPEAK: Final = MediaAdapter(operations.SPEAK.name, _speech, output_type="speech")
MODERATE: Final = MediaAdapter(operations.MODERATE.name)
DECIDE: Final = MediaAdapter(operations.DECIDE.name, _own)
