"""What an application or a server says anew with each call does not make a series of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from opentelemetry.trace import NoOpTracerProvider
from tools.bench import wire

import tokentrail
from tokentrail.support import guard
from tokentrail.telemetry.metrics.label_values import MAX_VALUES, OTHER

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.mark.thorough
def test_a_new_model_with_each_call(told):
    """The first 200 names are told apart, the rest together, in requests and in answers."""
    sync, _ = wire.clients(lambda request: _answer(json.loads(request.content)["model"]))
    for number in range(CALLS):
        sync.chat.completions.create(**{**wire.CHAT, "model": f"model-{number}"})
    _is_bounded(told)
    duration = told.points("gen_ai.client.operation.duration", gen_ai_request_model=OTHER)
    assert sum(point.count for point in duration) == CALLS - MAX_VALUES


def _answer(model, **more):
    body = {**json.loads(wire._PLAIN["chat/completions"]), "model": f"{model}-long", **more}
    return wire.httpx.Response(200, json=body)


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_a_new_server_with_each_call(told):
    """An application may have a client for each of its own customers."""
    sync, _ = wire.clients()
    for number in range(CALLS):
        other = sync.with_options(base_url=f"http://host-{number}.example/v1")
        other.chat.completions.create(**wire.CHAT)
    _is_bounded(told)


@pytest.fixture
def unsaid(monkeypatch):
    monkeypatch.setattr(guard, "_logged", set())


@pytest.mark.thorough
def test_names_that_never_succeed_take_no_places(told, caplog, unsaid):
    """Of junk 32 are kept, so that an outage shows its models, and no table is full of it."""
    good = {f"good-{number}" for number in range(MAX_VALUES)}

    def reply(request):
        model = json.loads(request.content)["model"]
        return _answer(model) if model in good else wire.httpx.Response(404, json={})

    sync, _ = wire.clients(reply)

    def ask(model):
        with contextlib.suppress(openai.NotFoundError):
            sync.chat.completions.create(**{**wire.CHAT, "model": model})

    for number in range(MAX_VALUES + 60):
        ask(f"junk-{number}")
    ask("good-0")
    for model in sorted(good):
        ask(model)
    points = told.points("gen_ai.client.operation.duration")
    seen = {point.attributes["gen_ai.request.model"] for point in points}
    assert good <= seen
    assert {name for name in seen if name.startswith("junk")} == {f"junk-{n}" for n in range(32)}
    own = told.points("tokentrail.operations", gen_ai_request_model=OTHER)
    assert sum(point.value for point in own) == MAX_VALUES + 60 - 32
    (full,) = [r.getMessage() for r in caplog.records if "_OTHER" in r.getMessage()]
    assert full == (
        "gen_ai.request.model has 32 values of calls that never succeeded on metrics, the most "
        "that are recorded: metrics have further ones as _OTHER from now on. Spans have all values."
    )


def test_a_name_that_failed_before_has_its_place_once_it_succeeds(told):
    up = []
    failed = lambda: wire.httpx.Response(503, json={})  # noqa: E731 - one line
    sync, _ = wire.clients(lambda request: _answer("m") if up else failed())

    def ask(number):
        with contextlib.suppress(openai.InternalServerError):
            sync.chat.completions.create(**{**wire.CHAT, "model": f"model-{number}"})

    for number in range(40):
        ask(number)
    up.append(True)
    for number in range(40):
        ask(number)
    up.clear()
    ask(39)
    failures = told.points("tokentrail.operations", tokentrail_outcome="failed")
    assert {"model-39", OTHER} <= {p.attributes["gen_ai.request.model"] for p in failures}


def test_long_names_are_cut(trail):
    """What a server or an application calls something may be as long as a prompt."""
    long = "x" * 5000
    reply = _answer(long, id=long, service_tier=long, system_fingerprint=long)
    sync, _ = wire.clients(lambda request: reply)
    sync.chat.completions.create(**{**wire.CHAT, "model": long, "stop": [long]})
    span = trail.spans.one()
    texts = [span.name]
    for value in span.attributes.values():
        texts += [value] if isinstance(value, str) else value if isinstance(value, tuple) else []
    assert max(map(len, texts)) == 1024
    point = trail.metrics.one("gen_ai.client.operation.duration")
    assert max(len(v) for v in point.attributes.values() if isinstance(v, str)) == 256


@pytest.mark.thorough
def test_thousands_of_calls_leave_nothing():
    """Of recorder and metrics; `make soak` makes 300,000."""
    soak = [sys.executable, "-m", "soak", "recorder", "--calls", "10000"]
    environment = {**os.environ, "PYTHONPATH": "tools"}
    seen = subprocess.run(
        soak, check=False, env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert seen.returncode == 0, seen.stdout
