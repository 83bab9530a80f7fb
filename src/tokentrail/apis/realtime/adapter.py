"""The realtime API: a session and its responses, read event by event."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokentrail.apis.choices import NEVER_RECEIVED
from tokentrail.apis.failures import OTHER_ERROR
from tokentrail.apis.reported_usage import audio_usage, realtime_usage
from tokentrail.apis.values import (
    Parameters,
    error_code,
    fields,
    integer,
    nonempty_str,
    number,
    plain_str,
    sequence,
    telemetry_str,
)
from tokentrail.model.operations import REALTIME
from tokentrail.model.records import Request, Response, Transcription

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.model.records import Endpoint, TextSink

_DELTAS: Final = {
    "response.output_text.delta": "text",
    "response.text.delta": "text",
    "response.output_audio_transcript.delta": "text",
    "response.audio_transcript.delta": "text",
    "response.function_call_arguments.delta": "tool_arguments",
    "response.mcp_call_arguments.delta": "tool_arguments",
}
"""The kind of text by the type of an event, with current and beta names. Audio is left out: its
tokens cannot be counted here."""
_SOUND: Final = frozenset({"response.output_audio.delta", "response.audio.delta"})
_SESSIONS: Final = frozenset({"session.created", "session.updated"})
_TRANSCRIBED: Final = "conversation.item.input_audio_transcription.completed"
_PARAMETERS: Final = Parameters(
    ("model", "model", telemetry_str),
    ("temperature", "temperature", number),
    ("max_output_tokens", "max_tokens", integer),
    ("conversation_id", "conversation_id", telemetry_str),
)


class RealtimeAdapter:
    """Reads the responses of one realtime session, and the session's models from its events.

    Only an event of the server starts a response: the application may have requested it, or the
    server may have detected the end of speech.
    """

    asks: str | None = None
    ends = frozenset({"response.done"})

    def __init__(self, model: str | None = None) -> None:
        """``model``: the model requested for the connection."""
        self._asked = model
        self._model: str | None = None
        self._transcriber: str | None = None
        """The model that transcribes the session's input audio."""

    def opened(self, model: str | None) -> RealtimeAdapter:
        """Return an adapter for one connection, with the requested model."""
        return RealtimeAdapter(model)

    def learn(self, kind: str, event: Mapping[str, object]) -> Transcription | None:
        """Take an event that belongs to no response; return the transcription it reports, if any.

        Session events name the models of the session.
        """
        if kind in _SESSIONS:
            session = fields(event.get("session"))
            self._model = telemetry_str(session.get("model")) or self._model
            self._transcriber = _transcriber(session) or self._transcriber
        if kind != _TRANSCRIBED:
            return None
        usage, item = audio_usage(event.get("usage")), nonempty_str(event.get("item_id"))
        if usage is None or item is None:
            return None
        place = integer(event.get("content_index")) or 0
        return Transcription(f"{item}:{place}", self._transcriber, usage)

    @staticmethod
    def stream_id(event: Mapping[str, object]) -> str | None:
        """Return the id of the event's response: each response is a stream of its own.

        Error events have none: most concern an event of the application, and the session continues.
        """
        return nonempty_str(event.get("response_id")) or nonempty_str(
            fields(event.get("response")).get("id")
        )

    def parse_request(
        self,
        endpoint: Endpoint,
        arguments: Mapping[str, object],
        *,
        prompt: bool = True,
    ) -> Request:
        """Read the parameters of a response from its own first event."""
        speaks = _speaks(arguments)
        return _PARAMETERS.read(
            {"model": self._asked or self._model, **arguments},
            operation=REALTIME.name,
            api=REALTIME.api,
            endpoint=endpoint,
            stream=True,
            output_type="speech" if speaks else "text",
            inexact_output=speaks,
        )

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read nothing: every response arrives as events."""
        return Response()

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> RealtimeAccumulator:
        """Return an empty accumulator of the events of one response."""
        return RealtimeAccumulator(self._model or request.model, sink)


def _transcriber(session: Mapping[str, object]) -> str | None:
    """Return the model that transcribes input; beta sessions have it in another field."""
    heard = fields(fields(session.get("audio")).get("input"))
    transcription = heard.get("transcription") or session.get("input_audio_transcription")
    return telemetry_str(fields(transcription).get("model"))


def _speaks(given: Mapping[str, object]) -> bool:
    """Whether the output includes audio, which is the default."""
    kinds = sequence(given.get("output_modalities")) or sequence(given.get("modalities"))
    return not kinds or "audio" in map(plain_str, kinds)


class RealtimeAccumulator:
    """Accumulates the events of one response. O(1) for each; audio is not kept."""

    __slots__ = ("_called", "_response", "_sink", "has_content")

    def __init__(self, model: str | None, sink: TextSink | None) -> None:
        """``model``: the model of the session, since a response names none."""
        self._sink = sink
        self._called = False
        self.has_content = False
        self._response = Response(model=model, finish_reasons=(NEVER_RECEIVED,), complete=False)

    def add(self, chunk: object) -> None:
        """Take the next event, of any type."""
        given = fields(chunk)
        kind = plain_str(given.get("type")) or ""
        place = _DELTAS.get(kind)
        if place is not None:
            self.has_content = True
            self._feed(place, given, given.get("delta"))
        elif kind in _SOUND:
            self.has_content = True
        elif kind in {"response.created", "response.done"}:
            self._learn(fields(given.get("response")), done=kind == "response.done")
        elif kind == "response.output_item.added":
            item = fields(given.get("item"))
            if plain_str(item.get("type")) == "function_call":
                self._called = self.has_content = True
                self._feed("tool_name", given, item.get("name"))

    def _feed(self, kind: str, given: Mapping[str, object], piece: object) -> None:
        text = nonempty_str(piece)
        if self._sink is not None and text is not None:
            choice, item = integer(given.get("output_index")), integer(given.get("content_index"))
            self._sink.add(kind, choice or 0, item or 0, text)

    def _learn(self, given: Mapping[str, object], *, done: bool) -> None:
        status, details = telemetry_str(given.get("status")), fields(given.get("status_details"))
        known = self._response
        failed = done and status == "failed"
        error = error_code(fields(details.get("error")).get("code")) if failed else None
        self._response = replace(
            known,
            id=telemetry_str(given.get("id")) or known.id,
            status=status,
            conversation_id=telemetry_str(given.get("conversation_id")),
            reported=realtime_usage(given.get("usage")),
            complete=done,
            ended=done,
            error_type=(error or OTHER_ERROR) if failed else None,
        )
        if done:
            finish = self._finish_reason(status, telemetry_str(details.get("reason")))
            self._response = replace(self._response, finish_reasons=(finish,))

    def _finish_reason(self, status: str | None, reason: str | None) -> str:
        if status == "completed":
            return "tool_call" if self._called else "stop"
        if status == "incomplete" and reason is not None:
            return "length" if reason == "max_output_tokens" else reason
        return NEVER_RECEIVED

    def response(self) -> Response:
        """Return the response so far."""
        return self._response
