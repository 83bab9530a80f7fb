"""Inside a function on AWS Lambda, under opentelemetry-instrumentation-aws-lambda."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tokentrail

pytestmark = pytest.mark.interop

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:ask"


def test_the_span_is_exported_before_the_function_is_frozen(server, needed, monkeypatch):
    """Its flush is the last moment: with ``redact`` the call waits for the worker then."""
    lambdas = needed("opentelemetry.instrumentation.aws_lambda")
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=600_000))
    client = openai.OpenAI(api_key="no-secret", base_url=server.base_url)

    def handler(event, context):
        stream = client.chat.completions.create(**ASKED, stream=True)
        return len(list(stream))

    function = ModuleType("ask_function")
    function.handler = handler
    monkeypatch.setitem(sys.modules, "ask_function", function)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "ask")
    monkeypatch.setenv("_HANDLER", "ask_function.handler")
    instrumentor = lambdas.AwsLambdaInstrumentor()
    instrumentor.instrument(tracer_provider=provider, skip_dep_check=True)
    tokentrail.instrument(
        tracer_provider=provider, capture_content="SPAN_ONLY", redact=lambda kind, text: text
    )
    try:
        invoked = SimpleNamespace(invoked_function_arn=ARN, aws_request_id="1", function_name="ask")
        assert function.handler({}, invoked) > 1
        assert [span.name for span in exporter.get_finished_spans()] == ["ask", "chat gpt-4o"]
    finally:
        tokentrail.uninstrument()
        instrumentor.uninstrument()
        provider.shutdown()
        client.close()
