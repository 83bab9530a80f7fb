"""The samples of a run as tables, as a plot, and as what docs/costs.md says of them."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.environments import ROOT, this_python
from bench.subjects import BAR, BY_NAME, FLOOR, OURS, SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Samples = dict[str, list[float]]

MICRO = 1e6
PAGE = ROOT / "docs" / "costs.md"
PICTURE = ROOT / "docs" / "images" / "costs.svg"
BEGIN, END = "<!-- measured: by make bench -->", "<!-- end of measured -->"

KINDS = ("chat sync", "chat async", "responses sync", "responses async")
LENGTHS = (50, 1_000, 20_000)


@dataclass
class Results:
    """What a run came to."""

    rounds: int = 0
    seconds: float = 0.0
    skipped: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    samples: dict[str, dict[str, dict[str, Samples]]] = field(default_factory=dict)
    """By mode, subject and label."""

    def add(self, mode: str, name: str, label: str, taken: Samples) -> None:
        """Add the samples of a turn to those of the turns before it."""
        there = self.samples.setdefault(mode, {}).setdefault(name, {}).setdefault(label, {})
        for kind, values in taken.items():
            there.setdefault(kind, []).extend(values)

    def of(self, name: str, label: str, mode: str = "on") -> Samples:
        """Return the samples; none, if it was not measured."""
        return self.samples.get(mode, {}).get(name, {}).get(label, {})

    def names(self) -> list[str]:
        """Return the subjects that were measured."""
        return [each.name for each in SUBJECTS if each.name in self.samples.get("on", {})]

    def to_json(self) -> str:
        """Return all of it."""
        return json.dumps(vars(self))


def median(samples: Samples, kind: str = "on") -> float | None:
    """Return the median of one kind of sample."""
    values = samples.get(kind)
    return statistics.median(values) if values else None


def added(samples: Samples) -> float | None:
    """Return the median of what an instrumentation added to the call or chunk beside it."""
    differences = _differences(samples)
    return statistics.median(differences) if differences else None


def process(samples: Samples) -> float | None:
    """Return the same of the whole process: with what other threads did for it."""
    mine, others = added(samples), median(samples, "others")
    return None if mine is None or others is None else mine + others


def _differences(samples: Samples) -> list[float]:
    return [
        on - bare for bare, on in zip(samples.get("bare", []), samples.get("on", []), strict=True)
    ]


def _micro(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value * MICRO:,.{digits}f}"


def _spread(samples: Samples, digits: int = 0) -> str:
    differences = _differences(samples)
    if len(differences) < 4:  # noqa: PLR2004 - no quartiles
        return _micro(added(samples), digits)
    low, middle, high = statistics.quantiles(differences, n=4)
    return f"{_micro(middle, digits)} <sub>{_micro(low, digits)} … {_micro(high, digits)}</sub>"


def _ratio(samples: Samples) -> str:
    bare, on = median(samples, "bare"), median(samples)
    return "" if not bare or on is None else f"×{on / bare:.2f}"


def _kilo(samples: Samples) -> str:
    held = median(samples)
    return "" if held is None else f"{held / 1024:,.0f}"


def _milli(samples: Samples, kind: str = "on") -> str:
    value = median(samples, kind)
    return "" if value is None else f"{value * 1e3:,.1f}"


def _table(head: list[str], rows: Iterator[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rows(
    results: Results, cells: list[Callable[[str], str]], mode: str = "on"
) -> Iterator[list[str]]:
    for name in results.names():
        if name in results.samples.get(mode, {}):
            row = [cell(name) for cell in cells]
            if any(row):
                yield [BY_NAME[name].title, *row]


def tables(results: Results) -> str:
    """Return the tables and what they say of the bars."""
    return "\n\n".join(part for part in _parts(results) if part) + "\n"


def _parts(results: Results) -> Iterator[str]:
    yield "### A chunk"
    yield "µs of CPU added to each of 1,000 chunks; process: with the work of other threads."
    yield _table(
        ["", *KINDS, *(f"process, {kind}" for kind in KINDS)],
        _rows(
            results,
            [
                *(_chunk(results, kind, 1000) for kind in KINDS),
                *(_chunk(results, kind, 1000, whole=True) for kind in KINDS),
            ],
        ),
    )
    if any(results.of(OURS, f"chunk {kind} 20000") for kind in KINDS):
        yield "By the length of the stream (50 / 1,000 / 20,000 chunks):"
        yield _table(["", *KINDS], _rows(results, [_lengths(results, kind) for kind in KINDS]))
    yield "### A call"
    yield (
        "µs of CPU added, with quartiles. The end of a stream is the pull that finds it over; 200 "
        "streams at once: CPU of the process against bare."
    )
    labels = ("call sync", "call async", "end 50", "end 1000", "embeddings")
    yield _table(
        ["", "plain, sync", "plain, async", "end of 50", "end of 1,000", "embeddings 100×1536",
         "200 streams"],
        _rows(
            results,
            [
                *(lambda name, label=label: _spread(results.of(name, label)) for label in labels),
                lambda name: _ratio(results.of(name, "crowd")),
            ],
        ),
    )  # fmt: skip
    if results.of(OURS, "memory"):
        yield "### A stream of 20,000 chunks"
        yield (
            "KB held at most beyond the start of the stream (tracemalloc), and the longest time the "
            "event loop stood still around its end, in ms: CPU of the loop's thread, and by the clock."
        )
        yield _table(
            ["", "held, KB", "stall, CPU", "stall, clock"],
            _rows(
                results,
                [
                    lambda name: _kilo(results.of(name, "memory")),
                    lambda name: _milli(results.of(name, "stall")),
                    lambda name: _milli(results.of(name, "stall"), "wall"),
                ],
            ),
        )
    if "unsampled" in results.samples:
        yield "### Switched off"
        yield "µs of CPU added where no span is sampled and metrics are off, and where only traces are off."
        yield _table(
            ["", "neither: call", "neither: chunk", "metrics only: call", "metrics only: chunk"],
            _rows(
                results,
                [
                    lambda name, mode=mode, label=label, digits=digits: _micro(
                        added(results.of(name, label, mode)), digits
                    )
                    for mode in ("unsampled", "untraced")
                    for label, digits in (("call sync", 0), ("chunk chat sync 1000", 1))
                ],
                "unsampled",
            ),
        )
    yield "### Start"
    yield (
        "ms of CPU in a fresh process that has imported the client and the SDK; the look at installed "
        "packages is `BaseInstrumentor`'s own."
    )
    yield _table(
        ["", "import", "instrument()", "its look at packages"],
        _rows(
            results,
            [
                lambda name, kind=kind: _milli(results.of(name, "start"), kind)
                for kind in ("import", "instrument", "check")
            ],
        ),
    )
    yield "### The bars"
    yield "\n".join(_bars(results))
    yield "### Of this run"
    yield "\n".join(_run(results))


def _chunk(
    results: Results, kind: str, length: int, *, whole: bool = False
) -> Callable[[str], str]:
    def cell(name: str) -> str:
        samples = results.of(name, f"chunk {kind} {length}")
        return _micro(process(samples) if whole else added(samples), 1)

    return cell


def _lengths(results: Results, kind: str) -> Callable[[str], str]:
    def cell(name: str) -> str:
        figures = [_micro(added(results.of(name, f"chunk {kind} {each}")), 1) for each in LENGTHS]
        return " / ".join(figures) if figures[-1] else ""

    return cell


def _bars(results: Results) -> Iterator[str]:
    for kind in KINDS:
        ours, theirs = (results.of(name, f"chunk {kind} 1000") for name in (OURS, BAR))
        yield _bar(f"chunk, {kind}: application's thread", added(ours), added(theirs), 1 / 10)
        yield _bar(f"chunk, {kind}: process", process(ours), process(theirs), 1 / 3)
    for label in ("call sync", "call async"):
        ours, floor, theirs = (results.of(name, label) for name in (OURS, FLOOR, BAR))
        yield _bar(f"{label}: against the floor", added(ours), added(floor), 1.5)
        yield _bar(f"{label}: against genai-openai", added(ours), added(theirs), 1.0)
    ends = results.of(OURS, "end 1000")
    yield _bar("end of a stream: under 1 ms", added(ends), 1e-3, 1.0)
    held = median(results.of(OURS, "memory"))
    if held is not None:
        yield _bar("20,000 chunks: under 100 KB held", held / 1e6, 0.1024, 1.0, "MB", 1.0)
    start = median(results.of(OURS, "start"), "instrument")
    yield _bar("instrument(): under 5 ms", start, 5e-3, 1.0)


def _bar(  # noqa: PLR0913, PLR0917 - a comparison and its words
    what: str,
    ours: float | None,
    other: float | None,
    most: float,
    unit: str = "µs",
    scale: float = MICRO,
) -> str:
    if ours is None or other is None:
        return f"- {what}: not measured"
    reached = ours <= other * most
    return (
        f"- {'reached' if reached else '**missed**'}: {what}: {ours * scale:,.1f} {unit}, "
        f"at most {other * most * scale:,.1f}"
    )


def _run(results: Results) -> Iterator[str]:
    yield f"- Python {this_python()}, {results.rounds} rounds in {results.seconds:.0f} s"
    for name, said in results.versions.items():
        yield f"- {BY_NAME[name].title}: {said}"
    for name, reason in results.skipped.items():
        yield f"- left out: {name}: {reason}"


def plot(results: Results) -> str:
    """Return two rows of bars as SVG: what a chunk costs, and what a call does."""
    chunk, call = "chunk chat sync 1000", "call sync"
    names = [name for name in results.names() if name != SUBJECTS[0].name]
    parts = [
        _panel("µs added to a chunk (chat, sync), whole process", 0, [
            (name, process(results.of(name, chunk)), added(results.of(name, chunk)))
            for name in names
        ]),
        _panel("µs added to a plain call (chat, sync)", 400, [
            (name, added(results.of(name, call)), None) for name in names
        ]),
    ]  # fmt: skip
    height = 60 + 26 * len(names)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}" width="800" '
        f'height="{height}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="800" height="{height}" fill="#ffffff"/>\n' + "".join(parts) + "</svg>\n"
    )


def _panel(title: str, left: int, bars: list[tuple[str, float | None, float | None]]) -> str:
    """Return one panel; the darker part of a bar is the application's thread."""
    most = max((value or 0.0 for _, value, _ in bars), default=0.0) or 1.0
    drawn = [f'<text x="{left + 10}" y="22" font-weight="bold">{title}</text>\n']
    for number, (name, value, part) in enumerate(bars):
        top = 40 + 26 * number
        color, dark = ("#f2a65a", "#d9731a") if name == OURS else ("#b9c3cf", "#8593a3")
        drawn.append(f'<text x="{left + 100}" y="{top + 13}" text-anchor="end">{name}</text>\n')
        for width, fill in ((value, color), (value if part is None else part, dark)):
            long = max((width or 0.0) / most * 220, 0.0)
            drawn.append(
                f'<rect x="{left + 106}" y="{top}" width="{long:.1f}" height="18" fill="{fill}"/>\n'
            )
        end = left + 112 + max((value or 0.0) / most * 220, 0.0)
        drawn.append(f'<text x="{end:.1f}" y="{top + 13}">{_micro(value)}</text>\n')
    return "".join(drawn)


def write(results: Results) -> None:
    """Put the figures into docs/costs.md, and the plot beside it."""
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(plot(results), encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables(results)}\n{END}{after}", encoding="utf-8")
