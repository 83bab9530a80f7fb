"""The figures of a run as tables, and as what docs/performance.md says of them."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from bench.bars import KILO, KINDS, KNOWN, LENGTHS, MEGA, MICRO, MILLI, RATIO, bars
from bench.environments import ROOT, this_python
from bench.plot import plot
from bench.results import differences, process
from bench.subjects import BY_NAME, OURS, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.bars import Bar
    from bench.results import Results, Samples

    Cell = Callable[[str], str]

PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "images" / "performance.svg"
BEGIN, END = "<!-- measured: by make bench -->", "<!-- end of measured -->"
UNITS = {MICRO: " µs", MILLI: " ms", KILO: " KB", MEGA: " MB", RATIO: ""}
QUARTILES = 4
"""Values of which quartiles can be told; of fewer, the least and the most."""


def _figure(value: float | None, unit: float = MICRO, digits: int = 0) -> str:
    return "" if value is None else f"{value / unit:,.{digits}f}"


def _spread(values: list[float], unit: float = MICRO, digits: int = 0) -> str:
    """Return the median with its quartiles, or with the least and the most of a few."""
    if not values:
        return ""
    middle = _figure(statistics.median(values), unit, digits)
    if len(values) == 1:
        return middle
    few = len(values) < QUARTILES
    low, *_, high = (min(values), max(values)) if few else statistics.quantiles(values, n=4)
    return f"{middle} <sub>{_figure(low, unit, digits)} … {_figure(high, unit, digits)}</sub>"


def _table(head: list[str], rows: Iterator[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rows(results: Results, cells: list[Cell], mode: str = "on") -> Iterator[list[str]]:
    for name in results.names():
        if name in results.samples.get(mode, {}):
            row = [cell(name) for cell in cells]
            if any(row):
                yield [BY_NAME[name].title, *row]


def tables(results: Results) -> str:
    """Return the tables, and what they say of the bars."""
    parts = (
        _chunks, _lengths, _calls, _crowd, _settings, _ends, _long, _open, _off, _start, _first_use,
        _bars, _run,
    )  # fmt: skip
    return "\n\n".join(part for each in parts for part in each(results)) + "\n"


def _chunks(results: Results) -> Iterator[str]:
    yield "### A chunk"
    yield (
        "µs of CPU added to each of 1,000 chunks, with quartiles; process: with the work of other "
        "threads."
    )
    yield _table(
        ["", *KINDS, *(f"process, {kind}" for kind in KINDS)],
        _rows(
            results,
            [
                *(_chunk(results, f"{kind} 1000") for kind in KINDS),
                *(_whole(results, f"{kind} 1000") for kind in KINDS),
            ],
        ),
    )


def _chunk(results: Results, kind: str) -> Cell:
    return lambda name: _spread(differences(results.of(name, f"chunk {kind}")), MICRO, 1)


def _whole(results: Results, kind: str) -> Cell:
    return lambda name: _figure(process(results.of(name, f"chunk {kind}")), MICRO, 1)


def _lengths(results: Results) -> Iterator[str]:
    if any(results.of(OURS, f"chunk {kind} {LENGTHS[-1]}") for kind in KINDS):
        yield "By the length of the stream (50 / 1,000 / 20,000 chunks):"
        yield _table(["", *KINDS], _rows(results, [_by_length(results, kind) for kind in KINDS]))


def _by_length(results: Results, kind: str) -> Cell:
    def cell(name: str) -> str:
        figures = [_chunk(results, f"{kind} {each}")(name) for each in LENGTHS]
        return " / ".join(figures) if figures[-1] else ""

    return cell


def _calls(results: Results) -> Iterator[str]:
    yield "### A call"
    yield (
        "µs of CPU added, with quartiles; process: with the work of other threads; 16 threads: "
        "that of the process, which they keep busy; raw: `with_raw_response`, never parsed."
    )
    calls = ("call sync", "call async")
    vectors = ("embeddings 1", "embeddings 100")
    raw = tuple(f"embeddings raw {each}" for each in (1, 100))
    yield _table(
        ["", "plain, sync", "plain, async", "process, sync", "process, async", "16 threads",
         "embeddings, 1 vector", "100×1536", "raw, 1 vector", "raw, 100×1536"],
        _rows(
            results,
            [
                *(lambda name, label=label: _spread(differences(results.of(name, label)))
                  for label in calls),
                *(lambda name, label=label: _figure(process(results.of(name, label)))
                  for label in calls),
                *(lambda name, label=label: _spread(differences(results.of(name, label)))
                  for label in ("call threads", *vectors, *raw)),
            ],
        ),
    )  # fmt: skip


def _crowd(results: Results) -> Iterator[str]:
    if not results.of(OURS, "crowd 1000"):
        return
    yield "### Many streams at once"
    yield (
        "CPU of the process until all is recorded, and the p99 of the time between two chunks of "
        "a stream, each as a multiple of the bare client's: 200 and 1,000 streams of 20 chunks in "
        "one event loop, and 200 threads that each read a stream of 100 chunks."
    )
    crowds = ("crowd", "crowd 1000", "crowd threads")
    yield _table(
        ["", "200 in a loop: CPU", "p99", "1,000 in a loop: CPU", "p99", "200 threads: CPU", "p99"],
        _rows(
            results,
            [
                lambda name, label=label, kind=kind: _ratio(results.of(name, label), kind)
                for label in crowds
                for kind in ("", "p99_")
            ],
        ),
    )


def _ratio(samples: Samples, kind: str) -> str:
    bare, on = (samples.get(kind + name, []) for name in ("bare", "on"))
    told = _spread([after / before for before, after in zip(bare, on, strict=True)], 1.0, 2)
    return f"×{told}" if told else ""


def _settings(results: Results) -> Iterator[str]:
    measured = [each for each in SETTINGS if results.of(each.name, "call sync")]
    if not measured:
        return
    yield "### With settings"
    yield "µs of CPU that tokentrail adds to a plain call and to a chunk, by what is set."
    call, chunk = "call sync", "chunk chat sync 1000"
    head = ["", "call: thread", "call: process", "chunk: thread", "chunk: process"]
    rows = (
        [
            title,
            _spread(differences(results.of(name, call))),
            _figure(process(results.of(name, call))),
            _spread(differences(results.of(name, chunk)), MICRO, 1),
            _figure(process(results.of(name, chunk)), MICRO, 1),
        ]
        for name, title in [(OURS, "as it is"), *((each.name, each.title) for each in measured)]
    )
    yield _table(head, rows)


def _ends(results: Results) -> Iterator[str]:
    yield "### The end of a stream"
    yield "µs of CPU that the pull which finds it over takes longer, with quartiles, by its length."
    kinds = [f"chunk {kind} {length}" for length in LENGTHS for kind in KINDS]
    kinds = [kind for kind in kinds if results.of(OURS, kind)]
    yield _table(
        ["", *(kind.removeprefix("chunk ") for kind in kinds)],
        _rows(
            results,
            [
                lambda name, kind=kind: _spread(differences(results.of(name, kind), "end_"))
                for kind in kinds
            ],
        ),
    )


def _long(results: Results) -> Iterator[str]:
    if not results.of(OURS, "memory"):
        return
    yield "### A stream of 20,000 chunks"
    yield (
        "KB held at most beyond the start of the stream (tracemalloc), and the longest time the "
        "event loop stood still around its end, in ms: CPU of the loop's thread, and by the clock, "
        "which other programs move, too. With the least and the most of all turns."
    )
    shown = (("memory", "on", KILO, 0), ("stall", "on", MILLI, 1), ("stall", "wall", MILLI, 1))
    yield _table(
        ["", "held, KB", "stall, CPU", "stall, clock"],
        _rows(
            results,
            [
                lambda name, each=each: _spread(
                    results.of(name, each[0]).get(each[1], []), each[2], each[3]
                )
                for each in shown
            ],
        ),
    )


def _open(results: Results) -> Iterator[str]:
    if not results.of(OURS, "open streams"):
        return
    yield "### Open streams"
    yield "KB that each of 100 open streams of chat holds after 50 chunks, beyond bare (tracemalloc)."
    cells: list[Cell] = [
        lambda name: _spread(differences(results.of(name, "open streams")), KILO, 1)
    ]
    yield _table(["", "held, KB"], _rows(results, cells))


def _off(results: Results) -> Iterator[str]:
    if "unsampled" not in results.samples:
        return
    yield "### Switched off"
    yield "µs of CPU added where no span is sampled and metrics are off, and where only traces are off."
    columns = [
        (mode, label, digits)
        for mode in ("unsampled", "untraced")
        for label, digits in (("call sync", 0), ("chunk chat sync 1000", 1))
    ]
    yield _table(
        ["", "neither: call", "neither: chunk", "metrics only: call", "metrics only: chunk"],
        _rows(
            results,
            [
                lambda name, each=each: _spread(
                    differences(results.of(name, each[1], each[0])), MICRO, each[2]
                )
                for each in columns
            ],
            "unsampled",
        ),
    )


def _start(results: Results) -> Iterator[str]:
    yield "### Start"
    yield (
        "ms of CPU in a fresh process that has imported the client, the SDK and "
        "opentelemetry-instrumentation; the look at installed "
        "packages is `BaseInstrumentor`'s own."
    )
    yield _table(
        ["", "import", "instrument()", "its look at packages"],
        _rows(
            results,
            [
                lambda name, kind=kind: _spread(results.of(name, "start").get(kind, []), MILLI, 1)
                for kind in ("import", "instrument", "check")
            ],
        ),
    )


def _first_use(results: Results) -> Iterator[str]:
    if not results.of(OURS, "first use"):
        return
    yield "### First use"
    yield (
        "Of a fresh process that makes 50 plain calls, then reads streams that report no usage: the "
        "longest time that its event loop stood still, in ms by the clock, and the MB by which it "
        "grew. Beside streams some of the memory that building takes stays with the interpreter, "
        "free for other objects."
    )
    shown = (("stall", MILLI, 0), ("plain", MEGA, 1), ("encoding", MEGA, 1))
    rows = (
        [title, *(_spread(results.of(OURS, label).get(kind, []), unit, digits)
                  for kind, unit, digits in shown)]
        for title, label in (
            ("`o200k_base` at the first stream", "first use"),
            ("`preload_encodings`", "first use, preloaded"),
        )
    )  # fmt: skip
    head = ["", "stall by the clock, ms", "MB with plain calls", "more with streams"]
    yield _table(head, rows)


def _bars(results: Results) -> Iterator[str]:
    yield "### The bars"
    yield (
        "*Bound* is the target with what cannot be distinguished from noise: 5 %, 0.5 µs of a "
        "chunk and 5 µs of a call where noise reaches that far. A figure between target and bound "
        "is *within noise*. One above the bound fails `make bench`, unless its reason stands below."
    )
    head = ["", "tokentrail", "target", "bound", ""]
    yield _table(head, (_bar(bar) for bar in bars(results)))
    yield "Known to be missed in some runs, and why:"
    yield "\n".join(f"- {what}: {reason}" for what, reason in KNOWN.items())


def _bar(bar: Bar) -> list[str]:
    figures = (bar.ours, bar.most, bar.bound)
    if bar.reached is None:
        return [bar.what, "", "", "", bar.verdict]
    digits = 2 if bar.unit == RATIO else 1
    shown = [f"{_figure(each, bar.unit, digits)}{UNITS[bar.unit]}" for each in figures]
    return [bar.what, *shown, bar.verdict]


def _run(results: Results) -> Iterator[str]:
    yield "### Of this run"
    lines = [f"- Python {this_python()}, {results.rounds} rounds in {results.seconds:.0f} s"]
    lines += [f"- {BY_NAME[name].title}: {said}" for name, said in results.versions.items()]
    lines += [f"- left out: {name}: {reason}" for name, reason in results.skipped.items()]
    yield "\n".join(lines)


def write(results: Results) -> None:
    """Put the figures into docs/performance.md, and the plot beside it."""
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(plot(results), encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables(results)}\n{END}{after}", encoding="utf-8")
