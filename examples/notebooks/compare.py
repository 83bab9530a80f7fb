"""What the service reports and what tokentrail counts, side by side.

    pip install 'tokentrail[demo]'
    OPENAI_API_KEY=... python compare.py

asks OpenAI one question three times: plain, streamed, and streamed with usage asked for.
OPENAI_API_DEPLOY names another model than gpt-4o-mini. With OPENAI_API_BASE at an Azure endpoint
Azure OpenAI is asked, and OPENAI_API_DEPLOY is the deployment. An address that ends in /openai/v1
is Azure's newer API, which the plain client speaks to. The notebooks connect as this does, and
`tokentrail demo --live` too.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from openai import AzureOpenAI, OpenAI, OpenAIError
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tokentrail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.util.types import AttributeValue

MESSAGES = [{"role": "user", "content": "Tell me about Solar system"}]
AZURE = re.compile(r".+\.(openai|services\.ai|cognitiveservices)\.azure\.(com|us|cn)")


@dataclass(frozen=True)
class Tokens:
    """Tokens of a prompt and of its answer; ``None`` where nobody told."""

    prompt: int | None = None
    completion: int | None = None

    @property
    def total(self) -> int | None:
        """Both together, where both are known."""
        if self.prompt is None or self.completion is None:
            return None
        return self.prompt + self.completion


@dataclass(frozen=True)
class Row:
    """One call: what the service reported, what was counted, and what its span says."""

    name: str
    reported: Tokens
    counted: Tokens
    told: Tokens
    source: AttributeValue | None
    """Where the span's number of the answer comes from."""


class SettingError(Exception):
    """The environment lacks something, or has what cannot be sent; it says what to set."""


def connect() -> tuple[OpenAI, str]:
    """Return a client and what to ask it for: a model of OpenAI, or a deployment on Azure.

    Raises:
        SettingError: a variable is missing or wrong.
    """
    key, base, name = map(setting, ("OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_API_DEPLOY"))
    if key is None:
        message = "set OPENAI_API_KEY; `tokentrail demo` shows the same without a key"
        raise SettingError(message)
    if not (key.isascii() and key.isprintable()):
        message = "set OPENAI_API_KEY to the key alone: a quote or a line break is no part of it"
        raise SettingError(message)
    azure = is_azure(base)
    if azure and base is None:
        message = "set OPENAI_API_BASE to the address of your Azure resource"
        raise SettingError(message)
    if azure and name is None:
        message = "set OPENAI_API_DEPLOY to the name of your Azure deployment"
        raise SettingError(message)
    if not azure or urlsplit(base).path.rstrip("/").endswith("/openai/v1"):
        return OpenAI(api_key=key, base_url=base), name or "gpt-4o-mini"
    version = setting("OPENAI_API_VERSION") or "2024-10-21"
    return AzureOpenAI(api_key=key, azure_endpoint=base, api_version=version), name


def setting(name: str) -> str | None:
    """Return a variable of the environment, without blanks around it; empty is not set."""
    return os.environ.get(name, "").strip() or None


def is_azure(base: str | None) -> bool:
    """Return whether Azure answers there; OPENAI_API_TYPE=azure says so for any other host."""
    host = urlsplit(base or "").hostname or ""
    return AZURE.fullmatch(host) is not None or setting("OPENAI_API_TYPE") == "azure"


def in_memory() -> tuple[TracerProvider, InMemorySpanExporter]:
    """Return a tracer provider, and what keeps the spans that end there."""
    provider, spans = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider, spans


def ask_plain(client: OpenAI, model: str) -> tuple[str, str, Tokens]:
    """Return the text of the answer, the model that gave it, and the usage it reports."""
    answer = client.chat.completions.create(model=model, messages=MESSAGES)
    return answer.choices[0].message.content or "", answer.model, reported(answer)


def ask_streamed(client: OpenAI, model: str, **options: object) -> tuple[str, str, Tokens]:
    """Return the same of an answer that comes in chunks; Azure's first has no choice or model."""
    text, answered, usage = "", model, Tokens()
    stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True, **options)
    for chunk in stream:
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        answered = chunk.model or answered
        usage = reported(chunk) if chunk.usage else usage
    return text, answered, usage


def reported(answer: object) -> Tokens:
    """Return the usage that a completion or a chunk carries."""
    usage = getattr(answer, "usage", None)
    return Tokens(usage.prompt_tokens, usage.completion_tokens) if usage else Tokens()


def counted(text: str, model: str) -> Tokens:
    """Return what question and answer count by the encoding of the model, where it is known."""
    try:
        return Tokens(
            tokentrail.count_tokens(MESSAGES, model=model),
            tokentrail.count_tokens(text, model=model),
        )
    except ValueError:
        return Tokens()


def compare(client: OpenAI, model: str) -> Iterator[Row]:
    """Ask three times and yield what each call cost, by every account."""
    provider, spans = in_memory()
    tokentrail.instrument(tracer_provider=provider, token_counting="always")
    calls = (
        ("plain", ask_plain, {}),
        ("streamed", ask_streamed, {}),
        ("streamed, usage asked", ask_streamed, {"stream_options": {"include_usage": True}}),
    )
    for name, ask, options in calls:
        text, answered, usage = ask(client, model, **options)
        tokentrail.flush(10)
        span = spans.get_finished_spans()[-1].attributes or {}
        told = Tokens(span.get("gen_ai.usage.input_tokens"), span.get("gen_ai.usage.output_tokens"))
        source = span.get("tokentrail.usage.output.source")
        yield Row(name, usage, counted(text, answered), told, source)


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of a table, 77 columns wide; a dash stands where nobody told."""
    for index, row in enumerate(rows):
        if index == 0:
            yield f"{'':21}{'reported':>18}{'counted':>18}{'span':>12}"
            yield f"{'':21}" + f"{'in':>6}{'out':>6}{'sum':>6}" * 2 + f"{'in':>6}{'out':>6}  source"
        numbers = (
            *(row.reported.prompt, row.reported.completion, row.reported.total),
            *(row.counted.prompt, row.counted.completion, row.counted.total),
            *(row.told.prompt, row.told.completion),
        )
        cells = "".join(f"{'-' if number is None else number:>6}" for number in numbers)
        yield f"{row.name:21}{cells}  {row.source or '-'}".rstrip()


def main() -> None:
    """Print the comparison, each line as soon as it is known."""
    try:
        client, model = connect()
        service = "Azure OpenAI" if is_azure(str(client.base_url)) else "OpenAI"
        print(f"{MESSAGES[0]['content']!r}, asked of {model} ({service})\n")
        for line in table(compare(client, model)):
            print(line, flush=True)
    except (SettingError, OpenAIError) as error:
        sys.exit(f"compare.py: {error}")


if __name__ == "__main__":
    main()
