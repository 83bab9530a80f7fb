"""Usage by the price that each part has: of images, of transcripts and of speech."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tokentrail.cost.rates import PER
from tokentrail.model.records import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.cost.rates import Rate, Rates
    from tokentrail.model.records import Reported, Usage

    Parts = Mapping[str, float]
    """Tokens by the name of their price; seconds as ``audio_hour``."""

IMAGE_PARTS: Final = (
    "input",
    "output",
    "cache_read",
    "image_input",
    "image_cache_read",
    "image_output",
)
"""The parts of the tokens of images."""
_WHOLES: Final = {
    "cache_read": "input",
    "image_input": "input",
    "image_cache_read": "image_input",
    "image_output": "output",
    "audio_output": "output",
}
"""Parts that may have no price of their own, and what each is a part of."""
SECONDS_OF_AN_HOUR: Final = 3600


def image_parts(tokens: Reported) -> dict[str, int] | None:
    """Return the tokens of images by the price that each has.

    ``None`` if nobody says how much of the images was cached, or parts exceed their whole.
    """
    images, cached = tokens.image_input_tokens or 0, tokens.cache_read_tokens or 0
    cached_images = tokens.image_cache_read_tokens
    if cached_images is None:
        if cached and images:
            return None
        cached_images = 0
    cached_text, made = cached - cached_images, tokens.text_output_tokens or 0
    parts = {
        "input": (tokens.input_tokens or 0) - images - cached_text,
        "cache_read": cached_text,
        "image_input": images - cached_images,
        "image_cache_read": cached_images,
        "output": made,
        "image_output": (tokens.output_tokens or 0) - made,
    }
    if min(parts.values()) < 0:
        return None
    return {name: number for name, number in parts.items() if number}


def transcript_parts(used: Reported) -> Parts | None:
    """Return seconds, or else tokens; ``None`` if it is not known which of those are audio."""
    if used.audio_seconds is not None:
        return {"audio_hour": used.audio_seconds}
    audio, text = used.audio_input_tokens or 0, used.text_input_tokens or 0
    if audio + text != used.input_tokens:
        return None
    parts = {"audio_input": audio, "input": text, "output": used.output_tokens or 0}
    return {name: number for name, number in parts.items() if number}


def _of_images(used: Reported) -> Parts | tuple[str]:
    parts = image_parts(used)
    if parts is not None:
        return parts
    return ("cache_read",) if used.cache_read_tokens else {}


def _of_transcript(used: Reported) -> Parts | tuple[str]:
    parts = transcript_parts(used)
    return ("audio_input",) if parts is None else parts


def _of_speech(used: Reported) -> Parts:
    """Return the tokens of the text, and those of the audio that it became."""
    parts = {"input": used.input_tokens or 0, "audio_output": used.output_tokens or 0}
    return {name: number for name, number in parts.items() if number}


_READERS: Final[Mapping[str, Callable[[Reported], Parts | tuple[str]]]] = {
    "images": _of_images,
    "transcript": _of_transcript,
    "speech": _of_speech,
}


def reported_parts(billed_as: str, usage: Usage) -> Parts | tuple[str]:
    """Return the parts of a report, or the name of the part whose size is not known.

    Nothing, if the server did not report the whole answer, or parts exceed their whole.
    """
    used, sources = usage.reported, {count.source for count in (usage.input, usage.output) if count}
    if used is None or not sources <= {Source.REPORTED}:
        return {}
    if used.audio_seconds is None and (usage.input is None or usage.output is None):
        return {}
    return _READERS[billed_as](used)


def unreported_parts(billed_as: str, characters: int | None, rates: Rates) -> Parts | tuple[str]:
    """Return what is billed of an answer that reports nothing, or the name of what is not known.

    ``characters``: of the text that was to be spoken; some models are billed by these alone.
    """
    if billed_as == "speech" and characters is not None and rates.characters is not None:
        return {"characters": characters}
    if billed_as == "transcript" and rates.audio_hour is not None:
        return ("audio_hour",)
    return (_UNREPORTED[billed_as],)


_UNREPORTED: Final = {
    "images": "image_output", "transcript": "audio_input", "speech": "audio_output",
}  # fmt: skip


def cost_of_parts(parts: Parts, rates: Rates) -> tuple[Decimal, tuple[str, ...]]:
    """Return USD, and the names of the parts that have no price."""
    total, unpriced = Decimal(0), []
    for name, number in parts.items():
        rate = rate_of(rates, name)
        if rate is None:
            unpriced.append(name)
        else:
            per = SECONDS_OF_AN_HOUR if name == "audio_hour" else PER
            total += Decimal(str(number)) * rate.base / per
    return total, tuple(unpriced)


def rate_of(rates: Rates, part: str) -> Rate | None:
    """Return the price of a part, else that of what it is a part of."""
    rate: Rate | None = getattr(rates, part)
    return rate_of(rates, _WHOLES[part]) if rate is None and part in _WHOLES else rate
