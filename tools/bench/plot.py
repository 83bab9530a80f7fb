"""The two figures of a run that matter most, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.results import added, process
from bench.subjects import OURS, SUBJECTS

if TYPE_CHECKING:
    from bench.results import Results


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
        figure = "" if value is None else f"{value * 1e6:,.0f}"
        drawn.append(f'<text x="{end:.1f}" y="{top + 13}">{figure}</text>\n')
    return "".join(drawn)
