"""What an application or a server says anew with each call does not make a series of its own."""

from __future__ import annotations

import gc
import json

import openai
import pytest
from opentelemetry.context import get_current
from opentelemetry.trace import NoOpTracerProvider
from tools.bench import wire

import tokentrail
from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.patching.request import SentCall, read_arguments
from tokentrail.runtime import runtime
from tokentrail.telemetry.metrics.attributes import MAX_VALUES, OTHER
from tokentrail.telemetry.spans import MAX_TEMPLATES

DIRECTIONS = 2
CALLS = MAX_VALUES + 60


@pytest.fixture
def told(metrics):
    tokentrail.instrument(
        tracer_provider=NoOpTracerProvider(),
        meter_provider=metrics.provider,
        metric_names="both",
        count_verification_ratio=1.0,
        metric_attributes="server.address,server.port,gen_ai.response.model,"
        "openai.response.service_tier,openai.response.system_fingerprint",
    )
    yield metrics
    tokentrail.uninstrument()


def _is_bounded(metrics):
    series = {name: len(metrics.points(name)) for name in metrics.names()}
    compared = series.pop("tokentrail.usage.compared_tokens", 0)  # by direction and source
    assert max(series.values()) <= DIRECTIONS * (MAX_VALUES + 1), series
    assert compared <= 2 * DIRECTIONS * (MAX_VALUES + 1)
    assert max(series.values()) > MAX_VALUES


def test_a_new_model_with_each_call(told):
    """The first 200 names are told apart, the rest together, in requests and in answers."""
    sync, _ = wire.clients(lambda request: _answer(json.loads(request.content)["model"]))
    for number in range(CALLS):
        sync.chat.completions.create(**{**wire.CHAT, "model": f"model-{number}"})
    _is_bounded(told)
    duration = told.points("gen_ai.client.operation.duration", gen_ai_request_model=OTHER)
    assert sum(point.count for point in duration) == CALLS - MAX_VALUES // 2


def _answer(model, **more):
    body = {**json.loads(wire._PLAIN["chat/completions"]), "model": f"{model}-long", **more}
    return wire.httpx.Response(200, json=body)


def test_a_new_tier_and_fingerprint_with_each_answer(told):
    """A server may say what it likes."""
    said = iter(range(CALLS))

    def reply(_request):
        number = next(said)
        return _answer("m", service_tier=f"tier-{number}", system_fingerprint=f"fp-{number}")

    sync, _ = wire.clients(reply)
    for _ in range(CALLS):
        sync.chat.completions.create(**wire.CHAT)
    _is_bounded(told)


@pytest.mark.skipif(not hasattr(openai.OpenAI, "responses"), reason="this openai has none")
def test_a_new_error_with_each_answer(told):
    """A code of the server's stands on the duration."""
    said = iter(range(CALLS))
    failed = {**json.loads(wire._PLAIN["responses"]), "status": "failed"}

    def reply(_request):
        error = {"code": f"code_{next(said)}", "message": "no"}
        return wire.httpx.Response(200, json={**failed, "error": error})

    sync, _ = wire.clients(reply)
    for _ in range(CALLS):
        sync.responses.create(**wire.RESPONSES)
    _is_bounded(told)


def test_a_new_server_with_each_call(told):
    """An application may have a client for each of its own customers."""
    sync, _ = wire.clients()
    for number in range(CALLS):
        other = sync.with_options(base_url=f"http://host-{number}.example/v1")
        other.chat.completions.create(**wire.CHAT)
    _is_bounded(told)


@pytest.mark.thorough
def test_thousands_of_calls_leave_nothing(told):
    """Of recorder and metrics; `make soak` makes a million."""
    sync, _ = wire.clients()
    context = get_current()
    answer, shape = sync.chat.completions.create(**wire.CHAT), ChatAdapter()
    held = []
    for number in range(4 * MAX_TEMPLATES):  # so that bounded memories are as full each time
        given = {**wire.CHAT, "model": f"model-{number}"}
        answer.model = f"model-{number}-long"
        sent = SentCall(read_arguments(runtime.current(), shape, sync, context, (), given))
        sent.start()
        sent.detach()
        sent.call.on_response(answer)
        if (number + 1) % MAX_TEMPLATES == 0:
            tokentrail.flush(10)
            gc.collect()
            held.append(len(gc.get_objects()))
    assert held[3] < held[1] * 1.01
    assert not runtime.current().open_calls
