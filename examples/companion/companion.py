"""Beside OpenTelemetry's own instrumentation of openai: one span a call, which knows the tokens.

    pip install 'tokentrail[demo]' opentelemetry-instrumentation-genai-openai
    python companion.py

asks for two streams without usage, one read to its end, one closed early: first with the official
instrumentation alone, then with tokentrail beside it. Whichever was installed last is outside and
tells the call, and the other one adds what it knows: neither is told twice.
"""

from __future__ import annotations

from openai import OpenAI
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tokentrail

MODEL = "gpt-4o-mini"
MESSAGES = [{"role": "user", "content": "Why does the sea taste of salt?"}]
SHOWN = {
    "gen_ai.usage.input_tokens": "in",
    "gen_ai.usage.output_tokens": "out",
    "tokentrail.usage.output.source": "source",
    "tokentrail.outcome": "outcome",
}


def ask() -> None:
    """Read one stream to its end, and break another off after ten chunks."""
    with OpenAI() as client:
        for _ in client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
            pass
        stream = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        with stream:
            for _, _ in zip(range(10), stream, strict=False):
                pass


def show(title: str, exporter: InMemorySpanExporter) -> None:
    """Print a line for each span."""
    print(title)
    for span in exporter.get_finished_spans():
        scope = span.instrumentation_scope
        told = {short: span.attributes.get(name, "-") for name, short in SHOWN.items()}
        said = "  ".join(f"{short} {value}" for short, value in told.items())
        print(f"  {span.name}  {said}  (by {scope.name})")
    exporter.clear()


def main() -> None:
    """Ask twice over."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    official = OpenAIInstrumentor()
    official.instrument(tracer_provider=provider)
    ask()
    show("the official instrumentation alone", exporter)

    tokentrail.instrument(tracer_provider=provider, preload_encodings=[MODEL])
    ask()
    tokentrail.flush()
    show("tokentrail beside it", exporter)


if __name__ == "__main__":
    main()
