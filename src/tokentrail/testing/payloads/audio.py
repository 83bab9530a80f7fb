"""Audio: transcripts, whole or as the events of a stream, and speech."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.testing.payloads.answer import pieces
from tokentrail.testing.replies import Event, as_json

if TYPE_CHECKING:
    from tokentrail.testing.replies import JsonObject

HEARD: Final = "The sea is old and wide."
SECONDS: Final = 3
"""Length of any audio."""
_AUDIO_TOKENS: Final = 30
SPOKEN: Final = b"ID3\x04" + bytes(range(256)) * 8
"""Speech, the same for every text."""


def transcript(form: str, *, by_length: bool) -> JsonObject | bytes:
    """Return a transcript in one of the formats; ``by_length``: billed by the second."""
    if form in {"srt", "vtt"}:
        head = "WEBVTT\n\n" if form == "vtt" else "1\n"
        return f"{head}00:00:00,000 --> 00:00:03,000\n{HEARD}\n".encode()
    if form == "text":
        return f"{HEARD}\n".encode()
    billed: JsonObject = {"type": "duration", "seconds": SECONDS} if by_length else _usage()
    if form == "verbose_json":
        verbose = {"language": "english", "duration": float(SECONDS), "segments": []}
        return {**verbose, "text": HEARD, "usage": billed}
    return {"text": HEARD, "usage": billed}


def translation(form: str) -> JsonObject | bytes:
    """Return a translation into English: without usage, but some formats have the duration."""
    spoken = transcript(form, by_length=True)
    return (
        spoken if isinstance(spoken, bytes) else {k: v for k, v in spoken.items() if k != "usage"}
    )


def events() -> list[Event]:
    """Return the events of a streamed transcript."""
    delta, done = "transcript.text.delta", "transcript.text.done"
    deltas = [Event({"type": delta, "delta": piece}, delta) for piece in pieces(HEARD)]
    return [*deltas, Event({"type": done, "text": HEARD, "usage": _usage()}, done)]


def speech_events() -> bytes:
    """Return speech as server-sent events, in one piece."""
    usage = {"input_tokens": 7, "output_tokens": 60, "total_tokens": 67}
    events: tuple[JsonObject, ...] = (
        {"type": "speech.audio.delta", "audio": "SUQz" * 2000},
        {"type": "speech.audio.done", "usage": usage},
    )
    return "".join(f"data: {as_json(data)}\n\n" for data in events).encode()


def _usage() -> JsonObject:
    written = len(pieces(HEARD))
    return {
        "type": "tokens",
        "input_tokens": _AUDIO_TOKENS + 4,
        "input_token_details": {"audio_tokens": _AUDIO_TOKENS, "text_tokens": 4},
        "output_tokens": written,
        "total_tokens": _AUDIO_TOKENS + 4 + written,
    }
