"""The APIs that speak over WebSockets: their events, as a server would send them."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import pytest

MODEL, NAMED = "gpt-4o-realtime-preview", "gpt-4o-realtime-preview-2025-06-03"
TEXT_MODEL, TEXT_NAMED = "gpt-4o-mini", "gpt-4o-mini-2024-07-18"
WORDS = ["The", " sea", " is", " old", "."]
"""A token each."""


@dataclass(frozen=True)
class Realtime:
    """``realtime.connect`` and its older sibling."""

    path: str
    text: str = "response.output_text.delta"
    spoken: str = "response.output_audio_transcript.delta"
    sound: str = "response.output_audio.delta"
    modalities: str = "output_modalities"
    type: str = "realtime"

    def of(self, client: Any) -> Any:
        """Return the API of a client."""
        return operator.attrgetter(self.path)(client)

    def connect(self, client: Any, **given: Any) -> Any:
        """Return what opens a connection."""
        return self.of(client).connect(**{"model": MODEL, **given})

    async def ask(self, driver: Any, connection: Any, **_: Any) -> None:
        """Have a response begin."""
        await driver.call(connection.response.create)

    def greeting(self) -> list[dict[str, Any]]:
        """Return what a server says first."""
        session = {"id": "sess_1", "object": "realtime.session", "model": NAMED}
        return [{"type": "session.created", "event_id": "event_0", "session": session}]

    def created(self, name: str = "resp_1", *, speaks: bool = False, **more: Any) -> dict[str, Any]:
        """Return the event by which a response begins."""
        modalities = ["audio"] if speaks else ["text"]
        response = self._response(name, "in_progress", **{self.modalities: modalities}, **more)
        return {"type": "response.created", "event_id": "event_1", "response": response}

    def delta(self, text: str, name: str = "resp_1", kind: str | None = None) -> dict[str, Any]:
        """Return a piece of text."""
        place = {"item_id": "item_1", "output_index": 0, "content_index": 0}
        return {
            "type": kind or self.text,
            "event_id": "event_2",
            "response_id": name,
            **place,
            "delta": text,
        }

    def done(self, name: str = "resp_1", status: str = "completed", **more: Any) -> dict[str, Any]:
        """Return the event by which it ends, with usage."""
        response = self._response(name, status, **{"usage": self.usage(), **more})
        return {"type": "response.done", "event_id": "event_3", "response": response}

    @staticmethod
    def usage() -> dict[str, Any]:
        """Return the server's numbers."""
        cached = {"text_tokens": 16, "audio_tokens": 32, "image_tokens": 0}
        return {
            "input_tokens": 90,
            "output_tokens": 30,
            "total_tokens": 120,
            "input_token_details": {
                "cached_tokens": 48,
                "text_tokens": 20,
                "audio_tokens": 70,
                "cached_tokens_details": cached,
            },
            "output_token_details": {"text_tokens": 5, "audio_tokens": 25},
        }

    @staticmethod
    def _response(name: str, status: str, **more: Any) -> dict[str, Any]:
        return {
            "id": name,
            "object": "realtime.response",
            "status": status,
            "conversation_id": "conv_1",
            "output": [],
            **more,
        }

    def incomplete(self) -> dict[str, Any]:
        """Return the end of a response that was cut short."""
        details = {"type": "incomplete", "reason": "max_output_tokens"}
        return self.done(status="incomplete", status_details=details)

    def failed(self) -> dict[str, Any]:
        """Return the end of one that failed."""
        error = {"type": "server_error", "code": "rate_limit_exceeded"}
        return self.done(status="failed", status_details={"type": "failed", "error": error})

    def cancelled(self) -> dict[str, Any]:
        """Return the end of one that was cancelled."""
        details = {"type": "cancelled", "reason": "client_cancelled"}
        return self.done(status="cancelled", status_details=details)


@dataclass(frozen=True)
class Responses:
    """``responses.connect``."""

    path: str
    type: str = "responses"

    def of(self, client: Any) -> Any:
        """Return the API of a client."""
        return operator.attrgetter(self.path)(client)

    def connect(self, client: Any, **given: Any) -> Any:
        """Return what opens a connection."""
        return self.of(client).connect(**given)

    async def ask(self, driver: Any, connection: Any, **given: Any) -> None:
        """Have a response begin."""
        asked = {"model": TEXT_MODEL, "input": "Tell me of the sea.", **given}
        await driver.call(connection.send, {"type": "response.create", **asked})

    def greeting(self) -> list[dict[str, Any]]:
        """Return what a server says first: nothing."""
        return []

    def created(self, name: str = "resp_1", **more: Any) -> dict[str, Any]:
        """Return the event by which a response begins."""
        return self._event("response.created", self._response(name, "in_progress"), **more)

    def delta(self, text: str, name: str = "resp_1", **more: Any) -> dict[str, Any]:
        """Return a piece of text."""
        place = {"item_id": f"msg_{name}", "output_index": 0, "content_index": 0, "logprobs": []}
        return {
            "type": "response.output_text.delta",
            "sequence_number": 2,
            **place,
            "delta": text,
            **more,
        }

    def done(
        self, name: str = "resp_1", status: str = "completed", lane: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Return the event by which it ends, with usage."""
        response = self._response(name, status, **{"usage": self.usage(), **more})
        named = {} if lane is None else {"stream_id": lane}
        return self._event(f"response.{status}", response, **named)

    @staticmethod
    def usage() -> dict[str, Any]:
        """Return the server's numbers."""
        return {
            "input_tokens": 90,
            "output_tokens": 30,
            "total_tokens": 120,
            "input_tokens_details": {"cached_tokens": 48},
            "output_tokens_details": {"reasoning_tokens": 0},
        }

    @staticmethod
    def _event(kind: str, response: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"type": kind, "sequence_number": 1, "response": response, **more}

    @staticmethod
    def _response(name: str, status: str, **more: Any) -> dict[str, Any]:
        return {
            "id": name,
            "object": "response",
            "created_at": 1.0,
            "status": status,
            "model": TEXT_NAMED,
            "output": [],
            **more,
        }

    def incomplete(self) -> dict[str, Any]:
        """Return the end of a response that was cut short."""
        return self.done(status="incomplete", incomplete_details={"reason": "max_output_tokens"})

    def failed(self) -> dict[str, Any]:
        """Return the end of one that failed."""
        return self.done(status="failed", error={"code": "rate_limit_exceeded", "message": "no"})

    def cancelled(self) -> dict[str, Any]:
        """Return the end of one that was cancelled."""
        return self.done(status="cancelled")


APIS = (
    Realtime("realtime"),
    Realtime(
        "beta.realtime",
        "response.text.delta",
        "response.audio_transcript.delta",
        "response.audio.delta",
        "modalities",
    ),
    Responses("responses"),
    Responses("beta.responses"),
)


def of(kind: str) -> pytest.MarkDecorator:
    """Run a test for the APIs of one type alone."""
    found = [api for api in APIS if api.type == kind]
    return pytest.mark.parametrize("api", found, ids=lambda api: api.path, indirect=True)


ENDS = ("response.done", "response.completed", "response.incomplete", "response.failed")


def whole(api: Any, name: str = "resp_1") -> list[dict[str, Any]]:
    """Return the events of a response that comes to its end."""
    return [api.created(name), *(api.delta(word, name) for word in WORDS), api.done(name)]


async def until(driver: Any, connection: Any, *kinds: str) -> list[Any]:
    """Read events up to the first of these kinds, or of an end; that one included."""
    events: list[Any] = []
    while not events or events[-1].type not in (kinds or ENDS):
        events.append(await driver.call(connection.recv))
    return events


def told(trail: Any) -> list[Any]:
    """Return the spans by the names of their responses: one may wait for its count."""
    return sorted(trail.spans.all(), key=lambda span: span.attributes["gen_ai.response.id"])
