"""The part of the rules of prices about what is billed apart from the usage of an answer.

Requests to the server's own tools, tokens of images that it generates, and what it takes to
transcribe what realtime sessions hear. Calls of the images and audio APIs have the same prices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.cli.promql_rules import ALIKE, number, promql_name, rule, summed
from tokentrail.cost.parts import IMAGE_PARTS, SECONDS_OF_AN_HOUR, rate_of
from tokentrail.cost.rates import BY_REQUEST
from tokentrail.model.operations import BILLED_AS, GENERATE_IMAGE, TRANSCRIBE
from tokentrail.telemetry import semconv
from tokentrail.telemetry.metrics.tools import IMAGE_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.cli.priced import Priced

REQUESTS: Final = "tokentrail:priced_tool_requests:rate5m"
OTHER_TOKENS: Final = "tokentrail:priced_other_tokens:rate5m"
SECONDS: Final = "tokentrail:priced_audio_seconds:rate5m"

_APART: Final = (
    "job, gen_ai_provider_name, gen_ai_request_model, tokentrail_model, gen_ai_token_type,"
    " gen_ai_token_modality, tokentrail_cache_state"
)
_IMAGES: Final = "image_generation"
_TOOL: Final = promql_name(semconv.TOOL_NAME)
_TOOL_REQUESTS: Final = f"{promql_name(semconv.TOOL_REQUESTS)}_total"
_TOOL_TOKENS: Final = f"{promql_name(semconv.TOOL_TOKENS)}_total"
_OWN: Final = f"{promql_name(semconv.USAGE_TOKENS)}_total"
_TRANSCRIBED: Final = f"{promql_name(semconv.TRANSCRIPTION_TOKENS)}_total"
_TRANSCRIBED_TIME: Final = f"{promql_name(semconv.TRANSCRIPTION_TIME)}_seconds_total"


def sums() -> Iterator[list[str]]:
    """Yield the rules that sum up what has the same price."""
    tools = f'{_TOOL_REQUESTS}{{{_TOOL}=~"{"|".join(BY_REQUEST)}"}}'
    yield rule(REQUESTS, summed(tools, f"{ALIKE}, {_TOOL}"))
    images = summed(_TOOL_TOKENS, f"{_APART}, {_TOOL}", (semconv.TOOL_MODEL,))
    transcribed = summed(_TRANSCRIBED, _APART, (semconv.REQUEST_MODEL,))
    yield rule(OTHER_TOKENS, f"{images}\n  or\n{transcribed}")
    for operation, labels in ((GENERATE_IMAGE, {_TOOL: _IMAGES}), (TRANSCRIBE, {})):
        names = "|".join(n for n, of in BILLED_AS.items() if of == operation.billed_as)
        tokens = f'{_OWN}{{gen_ai_operation_name=~"{names}", tokentrail_usage_source="reported"}}'
        apart = {"gen_ai_operation_name": operation.name, **labels}
        yield rule(OTHER_TOKENS, summed(tokens, _APART), **apart)
    yield rule(SECONDS, summed(_TRANSCRIBED_TIME, ALIKE, (semconv.REQUEST_MODEL,)))


def terms(priced: Priced) -> Iterator[str]:
    """Yield what is billed apart by these prices; it costs the same in each service tier."""
    if priced.tier is None:
        yield from _requests(priced)
        yield from _images(priced)
        yield from _transcription(priced)


def _requests(priced: Priced) -> Iterator[str]:
    """Yield what the server's own searches cost; they cost the same in each service tier."""
    for tool in BY_REQUEST:
        rate = getattr(priced.rates, tool)
        if rate is not None:
            for selector in priced.selectors:
                yield f'{REQUESTS}{{{_TOOL}="{tool}", {selector}}} * {number(rate.base * 1000)}'


def _images(priced: Priced) -> Iterator[str]:
    """Yield what images cost that a tool generates; they cost the same in each service tier."""
    rates = priced.rates
    makes_images = rates.image_input is not None or rates.image_output is not None
    if not (makes_images or priced.provider is None):
        return
    for part in IMAGE_PARTS:
        if (rate := rate_of(rates, part)) is not None:
            labels = {semconv.CACHE_STATE: "", **IMAGE_LABELS[part], semconv.TOOL_NAME: _IMAGES}
            where = ", ".join(f'{promql_name(name)}="{v}"' for name, v in labels.items())
            yield f"{OTHER_TOKENS}{{{where}, {priced.billed_apart}}} * {number(rate.base)}"


def _transcription(priced: Priced) -> Iterator[str]:
    """Yield what it costs to transcribe what realtime sessions hear, by tokens and by time."""
    rates, where = priced.rates, priced.billed_apart
    if rates.audio_input is not None or priced.provider is None:
        for kind, modality, rate in (
            ("input", "audio", rates.audio_input),
            ("input", "text", rates.input),
            ("output", "text|unknown", rates.output),
        ):
            if rate is not None:
                labels = (
                    f'gen_ai_token_type="{kind}", gen_ai_token_modality=~"{modality}", {_TOOL}=""'
                )
                yield f"{OTHER_TOKENS}{{{labels}, {where}}} * {number(rate.base)}"
    if rates.audio_hour is not None:
        yield f"{SECONDS}{{{where}}} * {rates.audio_hour.base} / {SECONDS_OF_AN_HOUR}"
