"""The verdict as text of at most 80 columns; the long lists only on request."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from tokentrail.config import COMPLETION_HOOK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokentrail.diagnosis.findings import Findings
    from tokentrail.diagnosis.verdict import Verdict

WIDTH: Final = 80


def report(verdict: Verdict, *, verbose: bool = False) -> str:
    """Return the verdict first, then what to do; ``verbose``: also everything that was found."""
    return "\n".join((*_short(verdict), *(_lists(verdict.findings) if verbose else ())))


def _short(verdict: Verdict) -> Iterator[str]:
    yield from _wrapped(verdict.headline, "", "  ")
    for line in verdict.remedy.splitlines():
        yield from _wrapped(line, "  ", "    ") if len(line) > WIDTH - 2 else (f"  {line}",)
    for title, sentences in (("problems", verdict.problems), ("notes", verdict.notes)):
        if sentences:
            yield title
            for sentence in sentences:
                yield from _wrapped(sentence, "  ", "    ")


def _lists(found: Findings) -> Iterator[str]:
    yield from _table("versions", {k: v or "not installed" for k, v in found.versions.items()})
    yield "settings"
    for setting in found.settings:
        yield from _wrapped(f"{setting.name} = {setting.value}  ({setting.source})", "  ", "    ")
        yield from _wrapped(f"{setting.variable}: {setting.allowed}", "      ", "        ")
    yield from _table("completion hook", {COMPLETION_HOOK: found.completion_hook or "none"})
    yield from _table("methods", {method.name: method.state for method in found.methods})
    yield from _table("other instrumentations", found.other_instrumentations)
    yield from _table("providers", found.providers)
    yield from _table("encodings", found.encodings)


def _table(title: str, rows: Mapping[str, str]) -> Iterator[str]:
    yield title
    width = max(map(len, rows), default=0)
    for name, value in rows.items():
        yield from _wrapped(f"{name:{width}}  {value}", "  ", "      ")
    if not rows:
        yield "  none"


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    if len(first) + len(text) <= WIDTH:
        return [first + text]
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    )
