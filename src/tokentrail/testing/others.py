"""The stand-in model's answers other than text: images, audio and judgements."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tokentrail.testing.ask import prompts
from tokentrail.testing.payloads import audio, images, judgements, pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokentrail.testing.replies import Call, Event, JsonObject

_FIELD: Final = re.compile(
    rb'name="(?P<name>[^"]+)"(?P<file>; filename="[^"]*")?[^\r\n]*\r\n'
    rb"(?:[^\r\n]+\r\n)*\r\n(?P<value>[^\r]*)"
)


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer, whole and, if it can be streamed, as the events of a stream."""

    whole: JsonObject | bytes
    events: list[Event] = field(default_factory=list)


def form(call: Call) -> JsonObject:
    """Return the fields of a call that was sent as a form or as JSON."""
    if "multipart/form-data" not in call.headers.get("content-type", ""):
        return call.body
    found = {
        part["name"].decode(): "" if part["file"] else part["value"].decode()
        for part in _FIELD.finditer(call.content)
    }
    return {**found, "stream": found.get("stream") == "true"}


def shown(api: str, asked: JsonObject, model: str) -> Shown:
    """Return the answer of one of the paths of :data:`OTHERS`."""
    return OTHERS[api](asked, model)


def _count(value: object, default: int = 1) -> int:
    return int(value) if isinstance(value, (int, str)) and str(value).isdigit() else default


def _tokens(asked: JsonObject, name: str) -> int:
    return sum(len(pieces(text)) for text in prompts(asked.get(name)))


def _generated(asked: JsonObject, model: str) -> Shown:
    tokens = _tokens(asked, "prompt")
    whole = images.images(text_tokens=tokens, count=_count(asked.get("n")))
    return Shown(whole, images.events(text_tokens=tokens))


def _edited(asked: JsonObject, model: str) -> Shown:
    tokens = _tokens(asked, "prompt")
    whole = images.images(text_tokens=tokens, given=1, count=_count(asked.get("n")))
    return Shown(whole, images.events(text_tokens=tokens, given=1))


def _varied(asked: JsonObject, model: str) -> Shown:
    whole = images.images(text_tokens=0, count=_count(asked.get("n")))
    return Shown({name: value for name, value in whole.items() if name != "usage"})


def _transcribed(asked: JsonObject, model: str) -> Shown:
    heard = audio.transcript(_form(asked), by_length=model.startswith("whisper"))
    return Shown(heard, audio.events())


def _translated(asked: JsonObject, model: str) -> Shown:
    return Shown(audio.translation(_form(asked)))


def _spoken(asked: JsonObject, model: str) -> Shown:
    as_events = asked.get("stream_format") == "sse"
    return Shown(audio.speech_events() if as_events else audio.SPOKEN)


def _moderated(asked: JsonObject, model: str) -> Shown:
    given = len(prompts(asked.get("input")))
    return Shown(judgements.moderation(model=model, count=given))


def _decided(asked: JsonObject, model: str) -> Shown:
    questions = asked.get("questions")
    count = len(questions) if isinstance(questions, list) else 0
    tokens = _tokens(asked, "input")
    return Shown(judgements.decision(model=model, tokens=tokens, count=count))


def _form(asked: JsonObject) -> str:
    return str(asked.get("response_format") or "json")


OTHERS: Final[dict[str, Callable[[JsonObject, str], Shown]]] = {
    "images/generations": _generated,
    "images/edits": _edited,
    "images/variations": _varied,
    "audio/transcriptions": _transcribed,
    "audio/translations": _translated,
    "audio/speech": _spoken,
    "moderations": _moderated,
    "decisions": _decided,
}
"""By the path below the base URL."""
