"""Making a call in one of its ways, and what must be told of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.surface.table import sources

if TYPE_CHECKING:
    from tests.surface.table import Method, Way


@dataclass
class Taken:
    """What an application got of one call."""

    objects: list[Any] = field(default_factory=list)

    def seen(self) -> list[tuple[type, list[str], str]]:
        """Return types, attributes and values; ids and times, which no two calls share, are out."""
        return [(type(each), sorted(_fields(each)), _values(each)) for each in self.objects]

    def usage(self) -> tuple[int | None, int | None]:
        """Return the input and output tokens that the server said."""
        for each in reversed(self.objects):
            usage = getattr(getattr(each, "response", each), "usage", None)
            if usage is not None:
                given = usage if isinstance(usage, dict) else vars(usage)
                return (
                    given.get("prompt_tokens", given.get("input_tokens")),
                    given.get("completion_tokens", given.get("output_tokens")),
                )
        return None, None


def _fields(each: Any) -> dict[str, Any]:
    return getattr(each, "__dict__", {})  # bytes have none


def _values(each: Any) -> str:
    if not hasattr(each, "model_dump") and type(each) is not bytes:
        return ""
    return re.sub(r"[0-9a-f]{32}|created(_at)?=[0-9.]+", "*", repr(each))


async def take(driver: Any, method: Any, asked: dict[str, Any], way: Way) -> Taken:
    """Make the call of ``method`` in a way, and take what it gives to its end."""
    asked = {**asked, **way.options}
    if way.prefix == "with_streaming_response":
        async with driver.within(method(**asked)) as raw:
            parsed = await driver.call(raw.parse)
            assert await driver.call(raw.parse) is parsed
            return Taken([raw, *await _read(driver, parsed)])
    answer = await driver.call(method, **asked)
    if not way.prefix:
        return Taken(await _read(driver, answer))
    parsed = answer.parse()
    assert answer.parse() is parsed
    return Taken([answer, *await _read(driver, parsed)])


async def _read(driver: Any, answer: Any) -> list[Any]:
    streams = "_iterator" in _fields(answer)
    return [answer, *(await driver.read(answer) if streams else [])]


# What must be told -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What a call's span says of its usage."""

    operation: str
    input: str | None
    output: str | None

    def __str__(self) -> str:
        return f"{self.operation} {self.input or '-'} {self.output or '-'}"


def check_told(trail: Any, method: Method, way: Way, taken: Taken) -> Told:
    """Require the one span of a call, and return what it says."""
    span = trail.spans.one()
    attributes = dict(span.attributes)
    assert span.name == method.name
    assert attributes["gen_ai.operation.name"] == method.operation
    assert attributes["tokentrail.outcome"] == "completed"
    assert attributes.get("gen_ai.request.stream", False) is way.streamed
    assert attributes.get("gen_ai.response.finish_reasons") == method.finish
    told = tuple(attributes.get(f"tokentrail.usage.{kind}.source") for kind in ("input", "output"))
    assert told == sources(method, way)
    of_azure = attributes["gen_ai.provider.name"] == "azure.ai.openai"
    counted = (method.input_tokens, 7 + method.azure_end * of_azure)
    billed = taken.usage() if "reported" in told else counted
    for kind, source, tokens in zip(("input", "output"), told, billed, strict=True):
        assert attributes.get(f"gen_ai.usage.{kind}_tokens") == (tokens if source else None)
        points = trail.metrics.points("gen_ai.client.token.usage", gen_ai_token_type=kind)
        assert [point.sum for point in points] == ([tokens] if source and method.is_known else [])
        own = trail.metrics.points("tokentrail.usage.tokens", gen_ai_token_type=kind)
        is_counted = source and not method.is_on_span_alone
        # Of images and audio each modality has a point of its own.
        assert sum(point.value for point in own) == (tokens if is_counted else 0)
        assert len(own) == (1 if is_counted else 0) or not method.is_known
    assert trail.metrics.one("gen_ai.client.operation.duration").count == 1
    return Told(attributes["gen_ai.operation.name"], *told)
