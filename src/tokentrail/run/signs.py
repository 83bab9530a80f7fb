"""How sources, outcomes, times and money are shown; nothing but the standard library is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WIDTH: Final = 80
ABSENT: Final = "\u2013"
_LEAST: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Sign:
    """How a source of tokens is shown."""

    glyph: str
    letter: str
    """Instead of the glyph where the terminal's encoding has none."""
    style: str
    meaning: str


SIGNS: Final = {
    "reported": Sign("●", "R", "green", "reported by the server"),
    "counted": Sign("◆", "C", "cyan", "counted here"),
    "calibrated": Sign("◈", "K", "cyan", "counted, corrected by reports of similar calls"),
    "visible": Sign("◐", "V", "yellow", "visible output: hidden reasoning is billed too"),
    "approximated": Sign("≈", "~", "magenta", "approximated, not in gen_ai.*"),
}
OUTCOME_STYLES: Final = {
    "completed": "",
    "closed_early": "yellow",
    "cancelled": "yellow",
    "failed": "red",
}


def duration_text(seconds: float) -> str:
    """Return a time in at most six characters, up to a quarter of an hour."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.{max(0, 3 - len(str(int(seconds))))}f} s"


def money_text(amount: float) -> str:
    """Return an amount in USD, in at most nine characters below a hundred thousand."""
    if 0 < amount < _LEAST:
        return f"${amount:.1e}"
    return f"${amount:.{max(2, 7 - len(str(int(amount))))}f}"


def outcome_text(outcome: str) -> str:
    """Return an outcome as people write it."""
    return outcome.replace("_", " ")
