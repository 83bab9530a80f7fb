"""The samples of a run, and the figures that are made of them."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field

from bench.subjects import SUBJECTS

Samples = dict[str, list[float]]


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
        """Return the subjects that were measured, tokentrail with other settings left out."""
        measured = self.samples.get("on", {})
        return [each.name for each in SUBJECTS if each.name in measured and not each.setting]

    def to_json(self) -> str:
        """Return all of it."""
        return json.dumps(vars(self))


def median(samples: Samples, kind: str = "on") -> float | None:
    """Return the median of one kind of sample."""
    values = samples.get(kind)
    return statistics.median(values) if values else None


def quick(values: list[float]) -> float | None:
    """Return the lower quartile: of single moments, which everything else only makes longer."""
    if len(values) < 2:  # noqa: PLR2004 - there is none
        return values[0] if values else None
    return statistics.quantiles(values, n=4)[0]


def least(samples: Samples, kind: str) -> float | None:
    """Return the least of what was taken again and again: what is not other programs' doing."""
    return min(samples.get(kind) or (), default=None)


def differences(samples: Samples, kind: str = "") -> list[float]:
    """Return what each instrumented turn took beyond the bare one beside it; of ends: ``end_``."""
    bare, on = (samples.get(kind + name, []) for name in ("bare", "on"))
    return [after - before for before, after in zip(bare, on, strict=True)]


def ratio(samples: Samples, kind: str = "") -> float | None:
    """Return the median of the instrumented turns as a multiple of the bare ones'."""
    on, bare = median(samples, kind + "on"), median(samples, kind + "bare")
    return on / bare if on is not None and bare else None


def added(samples: Samples, kind: str = "") -> float | None:
    """Return the median of what an instrumentation added to the call or chunk beside it."""
    each = differences(samples, kind)
    return statistics.median(each) if each else None


def process(samples: Samples) -> float | None:
    """Return the same of the whole process: with what other threads did for it."""
    mine, others = added(samples), median(samples, "others")
    return None if mine is None or others is None else mine + others
