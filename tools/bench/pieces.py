"""What a plain call pays for: pieces are taken away one by one, and each time it is timed anew.

    PYTHONPATH=tools .venv/bin/python -m bench.pieces

The client's method is put in place by one that has its answer ready, so that nothing but the
instrumentation is timed: in a hot loop, and of many turns the shortest, which other programs on the
machine hardly change. Figures are lower than in a real call, where caches are cold: their shares
are what counts. It shows where the time goes; what is compared with others is `make bench`. What our
worker does, it does here on the one thread, too, so that the columns hold the same.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from bench import wire
from bench.subjects import BY_NAME, FLOOR, OURS
from bench.turns import providers
from openai.resources.chat.completions import Completions
from opentelemetry.sdk.metrics._internal.instrument import Histogram
from opentelemetry.sdk.trace import Span, Tracer
from opentelemetry.trace import INVALID_SPAN

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS = 200
TURNS = 25

_SDK: tuple[tuple[str, type, str], ...] = (
    ("SDK: three records", Histogram, "record"),
    ("SDK: attributes at the end", Span, "set_attributes"),
    ("SDK: end of the span", Span, "end"),
    ("SDK: start of the span", Tracer, "start_span"),
)
"""What is taken away, in this order; what is left then is the instrumentation's own."""


def _nothing(*args: object, **kwargs: object) -> Any:
    return INVALID_SPAN


def _shortest(completions: Completions) -> float:
    turns = []
    for _ in range(TURNS):
        begun = time.thread_time()
        for _ in range(CALLS):
            completions.create(**wire.CHAT)  # type: ignore[call-overload]
        turns.append((time.thread_time() - begun) / CALLS)
    return min(turns)


def _pieces(name: str) -> Iterator[tuple[str, float]]:
    """Yield each piece and the microseconds that a call is shorter without it."""
    completions = wire.clients()[0].chat.completions
    answer = completions.create(**wire.CHAT)  # type: ignore[call-overload]
    Completions.create = lambda self, **asked: answer  # type: ignore[assignment, method-assign] # noqa: ARG005 - takes what the client gives
    bare = _shortest(completions)
    if name == OURS:
        from tokentrail.telemetry.metrics import batching

        batching.MAX_WAITING = 0  # type: ignore[misc]
    BY_NAME[name].switch(*providers("on"))
    left = whole = _shortest(completions) - bare
    yield "all of it", whole * 1e6
    for piece, owner, method in _SDK:
        setattr(owner, method, _nothing)
        now = _shortest(completions) - bare
        yield piece, (left - now) * 1e6
        left = now
    yield "its own", left * 1e6


def main() -> None:
    """Print the pieces of the subject that is named; of the floor and ours beside each other."""
    logging.disable(logging.CRITICAL)
    if len(sys.argv) > 1:
        print(json.dumps(dict(_pieces(sys.argv[1]))))
        return
    command = [sys.executable, "-m", "bench.pieces"]
    columns = [
        json.loads(subprocess.run([*command, name], capture_output=True, check=True).stdout)
        for name in (FLOOR, OURS)
    ]
    print("| µs of a hot call | floor | tokentrail |\n| --- | ---: | ---: |")
    for piece in columns[0]:
        print(f"| {piece} | {columns[0][piece]:.0f} | {columns[1][piece]:.0f} |")


if __name__ == "__main__":
    main()
