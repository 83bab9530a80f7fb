"""Parts of the soak in which something is against us: functions, names, flushes, no threads."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import openai
from bench import wire
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import NoOpTracerProvider

import tokentrail
from soak import metrics
from soak.application import Application, chance, over_in, say
from soak.growth import Growth
from tokentrail.telemetry.metrics.label_values import MAX_LENGTH, MAX_UNPROVEN, MAX_VALUES

if TYPE_CHECKING:
    import argparse

THREADS = 40
JUNK = 20_000
"""Names of models that never answer."""
GOOD = 100
"""Names that do, asked for after them."""
LONG = 100_000
"""Characters of a long name."""
CALLS = 2_000


class PanicException(BaseException):
    """What a module written in Rust raises."""


def _attacking(kind: str, text: str) -> str:
    """Raise what is no Exception, one time in ten."""
    if chance.random() < 0.1:  # noqa: PLR2004 - said above
        raise chance.choice((SystemExit, PanicException, KeyboardInterrupt))
    return text


def kills(asked: argparse.Namespace) -> list[str]:
    """The worker under load, in which redact raises what ends threads: no call is lost."""
    application = Application(capture_content="SPAN_ONLY", redact=_attacking)
    application.run(over_in(asked.seconds / 2), threads=THREADS)
    return [*application.check(), *application.close()]


def flushes(asked: argparse.Namespace) -> list[str]:
    """Flushes of the tracer provider while streams run: each has all spans that had ended."""
    application = Application(capture_content="SPAN_ONLY", redact=lambda kind, text: text)  # noqa: ARG005
    over, failed, done = over_in(asked.seconds / 2), [], []

    def flush() -> None:
        while not over.wait(0.05):
            ended = application.ledger.ended()
            if not application.traces.force_flush(10_000):
                failed.append("a flush was not through")
            elif (spans := application.told.spans) < ended:
                failed.append(f"{spans} spans after a flush, of {ended} calls that had ended")
            done.append(ended)

    flushing = threading.Thread(target=flush)
    flushing.start()
    application.run(over, threads=THREADS)
    flushing.join()
    say(f"{len(done):,} flushes, each with all that had ended, but for {len(failed)}")
    return [*failed[:3], *application.check(), *application.close()]


def threadless(asked: argparse.Namespace) -> list[str]:
    """Calls where no thread of ours can start: each is recorded, and none sees an error."""
    start = threading.Thread.start

    def refused(self: threading.Thread) -> None:
        if self.name in {"tokentrail", "tokentrail-encoding"}:
            raise chance.choice((RuntimeError, MemoryError, OSError))
        start(self)

    threading.Thread.start = refused  # type: ignore[method-assign]
    try:
        application = Application()
        application.run(over_in(asked.seconds / 2), threads=THREADS)
        return [*application.check(), *application.close()]
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]


def junk(asked: argparse.Namespace) -> list[str]:
    """Names of models that never answer, then a hundred that do: each of these is told apart."""
    reader = _instrumented()
    sync, _ = wire.clients(
        lambda request: (
            wire.answer(request)
            if b"good-" in request.content
            else wire.httpx.Response(404, json={})
        )
    )
    growth = Growth()
    for number in range(JUNK):
        with suppress(openai.NotFoundError):
            sync.chat.completions.create(**{**wire.CHAT, "model": f"junk-{number}"})
        if number % (JUNK // 50) == 0:
            growth.take()
    for number in range(GOOD):
        sync.chat.completions.create(**{**wire.CHAT, "model": f"good-{number}"})
    names = _values(reader, "gen_ai.request.model")
    good = sum(name.startswith("good-") for name in names)
    say(f"{JUNK:,} names without an answer: {len(names) - good} told apart; {good} of {GOOD} good")
    tokentrail.uninstrument()
    wrong = [f"{GOOD - good} good names have no place"] if good != GOOD else []
    wrong += ["junk took places"] if len(names) > GOOD + MAX_UNPROVEN + 1 else []
    return [*wrong, *growth.check()]


def long(asked: argparse.Namespace) -> list[str]:
    """Names of 100,000 characters, new with each call: short on metrics, and memory is bounded."""
    reader = _instrumented()
    sync, _ = wire.clients(wire.answer)
    growth = Growth()
    for number in range(CALLS):
        sync.chat.completions.create(**{**wire.CHAT, "model": f"{number}-".ljust(LONG, "x")})
        if number % (CALLS // 50) == 0:
            tokentrail.flush(10)
            growth.take()
    names = _values(reader, "gen_ai.request.model")
    longest = max(map(len, names))
    say(f"{CALLS:,} names of {LONG:,} characters: {len(names)} values, the longest has {longest}")
    tokentrail.uninstrument()
    wrong = [f"a value of {longest} characters"] if longest > MAX_LENGTH else []
    return [*wrong, *([f"{len(names)} values"] if len(names) > MAX_VALUES + 1 else [])]


def _instrumented() -> InMemoryMetricReader:
    reader = InMemoryMetricReader()
    tokentrail.instrument(
        tracer_provider=NoOpTracerProvider(),
        meter_provider=MeterProvider(metric_readers=[reader]),
        count_verification_ratio=0.0,
    )
    return reader


def _values(reader: InMemoryMetricReader, name: str) -> set[Any]:
    tokentrail.flush(60)
    points = metrics.points(reader).get(metrics.ENDED, ())
    return {point.attributes[name] for point in points if name in point.attributes}


ATTACKS = {
    "kills": kills,
    "flushes": flushes,
    "threadless": threadless,
    "junk": junk,
    "long": long,
}
