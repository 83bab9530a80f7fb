"""The increase of counters, computed from their samples.

``increase()`` of Prometheus extrapolates, and leaves out the first value of a series: the tokens of
a process before its first sample. A bill includes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tokentrail.cli.reconcile.facts import Gap

if TYPE_CHECKING:
    from collections.abc import Iterable

    Labels = tuple[tuple[str, str], ...]
    Sample = tuple[float, float]

MOST_APART: Final = 300.0
"""Seconds between samples above which there is a gap: Prometheus' own staleness limit."""


@dataclass
class Growth:
    """The growth of every series of a counter, sample by sample in the order of time."""

    last: dict[Labels, float] = field(default_factory=dict)
    """The value before the next sample."""
    grown: dict[Labels, float] = field(default_factory=dict)
    starts: set[tuple[Labels, float]] = field(default_factory=set)
    """Processes that started, by instance, each with the time of its first sample."""
    _instances: set[Labels] = field(default_factory=set)

    def begin(self, labels: Labels, value: float) -> None:
        """Note the value of a series before the first day."""
        self.last[labels] = value
        self.grown.setdefault(labels, 0.0)
        self._instances.add(instance(labels))

    def add(self, labels: Labels, samples: Iterable[Sample]) -> None:
        """Add the samples of a series: if the value falls, the process was restarted."""
        last = self.last.get(labels)
        grown = self.grown.get(labels, 0.0)
        for time, value in samples:
            if last is None or value < last:
                if last is not None or instance(labels) not in self._instances:
                    self.starts.add((instance(labels), time))
                last = 0.0
            grown += value - last
            last = value
        if last is not None:
            self.last[labels], self.grown[labels] = last, grown

    def known(self, labels: Iterable[Labels]) -> None:
        """Treat the processes of these series as started before any sample that follows."""
        self._instances.update(map(instance, labels))


def instance(labels: Labels) -> Labels:
    """Return the labels that identify a process."""
    return tuple(label for label in labels if label[0] in {"job", "instance"})


def gaps(times: Iterable[float], start: float, end: float) -> list[Gap]:
    """Return the gaps: no sample for longer than :data:`MOST_APART`."""
    points = [start, *sorted(times), end]
    return [Gap(one, other) for one, other in pairwise(points) if other - one > MOST_APART]
