"""What is to be reached: each a ratio or a bound, judged by the figures of one run.

A bar that is missed fails the run, unless :data:`KNOWN` says why it is; so does one that a whole
run could not measure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.results import added, differences, least, median, process, quick, ratio
from bench.subjects import BAR, FLOOR, NOBODY, OURS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.results import Results

KINDS = ("chat sync", "chat async", "responses sync", "responses async")
LENGTHS = (50, 1_000, 20_000)
MILLI, MICRO = 1e-3, 1e-6
KILO = 1024.0
MEGA = 1e6
RATIO = 1.0
CROWDED = 1.25
"""What many streams at once may take, as a multiple of the bare client's."""
NOISE = 1.5
"""Two figures of tokentrail's own that should be the same may differ by this much."""
OF_A_CHUNK = 0.5 * MICRO
OF_A_CALL = 5 * MICRO
"""What nobody at all is seen to add to a chunk or a call, one way or the other."""
NEAR = 0.05
"""Share in which a difference cannot be told from nothing."""

KNOWN = {
    "chunk, chat sync: thread, 1/10 of genai-openai": "About a tenth, within the noise: in four "
    "runs of this code from a twelfth to an eighth. Half of it is being called at all, between the "
    "client's own work that empties the caches, and reading three objects.",
    "chunk, chat async: thread, 1/10 of genai-openai": "As for the sync stream: from a sixteenth "
    "to an eighth.",
    "call sync, telemetry disabled: 2.5 of the floor": "35 to 37 µs in all runs. The floor's own "
    "is 8 to 14, as much as its noise.",
    "call sync, telemetry disabled: 1/4 of the enabled cost": "About a quarter, up to a third: half of it is "
    "the floor's, since a sampler has to be asked and the context passed on, and the enabled cost "
    "went down.",
    **{
        f"call {kind}: thread, 1/2 of genai-openai": "About 0.7 to 0.85 by the clock, 0.41 by instructions: "
        "what is entered once in a call probably waits for memory, and the SDK's part of a span alone, its "
        "start, attributes and end, is 45 % of the thread's instructions."
        for kind in ("sync", "async")
    },
    **{
        f"call {kind}: process, 7/10 of genai-openai": "About 0.9 to 1.35 by the clock, 0.81 by "
        "instructions. The SDK's part of the span and of the three points that the conventions ask "
        "for is two thirds of them, and there is no public way to give it attributes that are "
        "cleaned and hashed already."
        for kind in ("sync", "async")
    },
    **dict.fromkeys(
        (
            "call sync: process, as genai-openai",
            "call async: process, as genai-openai",
            "calls of 16 threads: process, as genai-openai",
        ),
        "From 0.9 to 1.35 in seven runs, by instructions 0.81: what the worker records of a call grew "
        "(retries, choices, waste, tools), and it begins with cold caches.",
    ),
    "200 threads: p99 between chunks, 1.25 of bare": "From 1.0 to 1.4 in seven runs, 1.0 to 1.2 "
    "with preload_encodings: the longest gaps are where 200 streams end at once.",
    "event loop at the first stream: 5 ms": "The longest turn has 4 ms of CPU, 2.7 of them to "
    "import what takes a stream; the clock also has what other programs take.",
}
"""Why a bar is not reached, for those that are not."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure of tokentrail's, and the most that it may be."""

    what: str
    ours: float | None
    most: float | None
    unit: float = MICRO
    noise: float = 0.0
    """What a run without any instrumentation may come to."""

    @property
    def bound(self) -> float | None:
        """The bound that is applied: ``most``, and what cannot be distinguished from noise."""
        return None if self.most is None else self.most * (1 + NEAR) + self.noise

    @property
    def reached(self) -> bool | None:
        """Whether the figure is within the bound; ``None`` if something was not measured."""
        if self.ours is None or self.bound is None:
            return None
        return self.ours <= self.bound

    @property
    def verdict(self) -> str:
        """The word for it on the page: a figure above ``most`` is not called reached."""
        if self.ours is None or self.most is None:
            return "not measured"
        if not self.reached:
            return "missed, known" if self.what in KNOWN else "**missed**"
        return "reached" if self.ours <= self.most else "within noise"


def failed(results: Results, *, whole: bool) -> list[Bar]:
    """Return the bars that fail a run; of a ``whole`` one also those that it did not measure."""
    wrong = [bar for bar in bars(results) if bar.reached is False and bar.what not in KNOWN]
    return [*wrong, *(bar for bar in bars(results) if whole and bar.reached is None)]


def bars(results: Results) -> Iterator[Bar]:
    """Yield every bar."""
    parts = (
        _chunks, _flat, _calls, _crowds, _ends, _long, _held, _embeddings, _off, _start, _first_use,
    )  # fmt: skip
    for part in parts:
        yield from part(results)


def _chunks(results: Results) -> Iterator[Bar]:
    for kind in KINDS:
        ours, theirs = (results.of(name, f"chunk {kind} 1000") for name in (OURS, BAR))
        mine = times(added(theirs), 1 / 10)
        yield Bar(
            f"chunk, {kind}: thread, 1/10 of genai-openai", added(ours), mine, noise=OF_A_CHUNK
        )
        mine = times(process(theirs), 1 / 3)
        yield Bar(f"chunk, {kind}: process, 1/3 of genai-openai", process(ours), mine)


def _flat(results: Results) -> Iterator[Bar]:
    for kind in KINDS:
        short, long = (added(results.of(OURS, f"chunk {kind} {each}")) for each in LENGTHS[1:])
        yield Bar(f"chunk, {kind}: of 20,000 as of 1,000", long, times(short, NOISE))


def _calls(results: Results) -> Iterator[Bar]:
    for label in ("call sync", "call async"):
        ours, floor, theirs = (added(results.of(name, label)) for name in (OURS, FLOOR, BAR))
        yield Bar(f"{label}: thread, 1.5 of the floor", ours, times(floor, 1.5))
        yield Bar(f"{label}: thread, as genai-openai", ours, theirs)
        yield Bar(f"{label}: thread, 1/2 of genai-openai", ours, times(theirs, 1 / 2))
        mine, most = (process(results.of(name, label)) for name in (OURS, BAR))
        yield Bar(f"{label}: process, as genai-openai", mine, most)
        yield Bar(f"{label}: process, 7/10 of genai-openai", mine, times(most, 7 / 10))
    ours, theirs = (added(results.of(name, "call threads")) for name in (OURS, BAR))
    yield Bar("calls of 16 threads: process, as genai-openai", ours, theirs)


def _crowds(results: Results) -> Iterator[Bar]:
    for label, what in (
        ("crowd 1000", "1,000 streams in a loop"),
        ("crowd threads", "200 threads"),
    ):
        samples = results.of(OURS, label)
        for kind, of in (("", "CPU"), ("p99_", "p99 between chunks")):
            yield Bar(f"{what}: {of}, {CROWDED} of bare", ratio(samples, kind), CROWDED, RATIO)


def _ends(results: Results) -> Iterator[Bar]:
    """Yield those of single moments, by their quicker quarter."""
    for length in LENGTHS:
        for kind in KINDS:
            ended = quick(differences(results.of(OURS, f"chunk {kind} {length}"), "end_"))
            yield Bar(f"end of {length:,}, {kind}: 1 ms", ended, MILLI, MILLI)


def _long(results: Results) -> Iterator[Bar]:
    held = median(results.of(OURS, "memory"))
    yield Bar("20,000 chunks: 100 KB held", held, 100 * KILO, KILO)
    ours, bare = (results.of(name, "stall") for name in (OURS, NOBODY))
    stood = quick(bare.get("on", []))
    most = None if stood is None else stood + MILLI
    yield Bar(
        "event loop at the end of 20,000: CPU, 1 ms beyond bare",
        quick(ours.get("on", [])),
        most,
        MILLI,
    )
    stood = least(bare, "wall")
    most = None if stood is None else stood + MILLI
    by_clock = least(ours, "wall")
    yield Bar("the same by the clock, the best of all turns", by_clock, most, MILLI)


def _held(results: Results) -> Iterator[Bar]:
    held = added(results.of(OURS, "open streams"))
    yield Bar("an open stream: 20 KB held", held, 20 * KILO, KILO)


def _embeddings(results: Results) -> Iterator[Bar]:
    for label in ("embeddings", "embeddings raw"):
        one, many = (results.of(OURS, f"{label} {each}") for each in (1, 100))
        most, whole = times(added(one), 2), times(median(many, "bare"), NEAR)
        if most is not None and whole is not None:
            most += whole  # which is milliseconds, and not the same from call to call
        yield Bar(f"{label}: of 100 x 1536 twice that of one vector", added(many), most)


def _off(results: Results) -> Iterator[Bar]:
    """Yield those of what is switched off: near nothing, and at least what the floor saves.

    A sampler has to be asked, and the context handed on: less than the floor no call can cost.
    """
    call, chunk = "call sync", "chunk chat sync 1000"
    ours, floor = (added(results.of(name, call, "unsampled")) for name in (OURS, FLOOR))
    yield Bar(
        f"{call}, telemetry disabled: 2.5 of the floor", ours, times(floor, 2.5), noise=OF_A_CALL
    )
    for label, noise in ((call, OF_A_CALL), (chunk, 0.0)):
        ours, whole = added(results.of(OURS, label, "unsampled")), process(results.of(OURS, label))
        what = f"{label}, telemetry disabled: 1/4 of the enabled cost"
        yield Bar(what, ours, times(whole, 1 / 4), noise=noise)
    ours, whole = (added(results.of(OURS, call, mode)) for mode in ("untraced", "on"))
    less, all_of_it = (added(results.of(FLOOR, call, mode)) for mode in ("untraced", "on"))
    most = None
    if whole is not None and less is not None and all_of_it is not None:
        most = whole - (all_of_it - less) / NOISE
    yield Bar(f"{call}, metrics only: less, as much as the floor", ours, most)


def _start(results: Results) -> Iterator[Bar]:
    start = median(results.of(OURS, "start"), "instrument")
    yield Bar("instrument(): 5 ms", start, 5 * MILLI, MILLI)
    samples = results.of(OURS, "start")
    imported = median(samples, "import")
    whole = None if imported is None or start is None else imported + start
    yield Bar("import and instrument(): 25 ms", whole, 25 * MILLI, MILLI)


def _first_use(results: Results) -> Iterator[Bar]:
    """Yield those of what is done once in a process, by the clock: by the quicker quarter."""
    first, preloaded = (results.of(OURS, f"first use{more}") for more in ("", ", preloaded"))
    for what, samples in (("first stream", first), ("first stream, preloaded", preloaded)):
        stood = quick(samples.get("stall", []))
        yield Bar(f"event loop at the {what}: 5 ms", stood, 5 * MILLI, MILLI)
    yield Bar("plain calls: encodings in memory", median(first, "loaded"), 0.0, RATIO)
    both = [median(samples, "plain") for samples in (preloaded, first)]
    whole = None if both[0] is None or both[1] is None else both[0] - both[1]
    yield Bar("an encoding: 50 MB held", whole, 50 * MEGA, MEGA)


def times(value: float | None, share: float) -> float | None:
    """Return a share of what may not be known."""
    return None if value is None else value * share
