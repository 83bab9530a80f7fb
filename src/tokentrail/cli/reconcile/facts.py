"""The numbers of a bill and of telemetry, and the days that are compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Final, NamedTuple
from urllib.parse import urlsplit

DAY: Final = 86_400
"""Seconds."""


def is_url(text: str) -> bool:
    """Return whether this is a valid HTTP address."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket that is not closed, a port that is no number
        return False


@dataclass(frozen=True)
class Days:
    """Whole days of UTC, both ends included."""

    first: date
    last: date

    @property
    def start(self) -> int:
        """Seconds since the epoch at which the first day begins."""
        return int(datetime.combine(self.first, datetime.min.time(), timezone.utc).timestamp())

    @property
    def end(self) -> int:
        """Seconds since the epoch at which the last day is over."""
        return self.start + DAY * ((self.last - self.first) // timedelta(days=1) + 1)


class Key(NamedTuple):
    """A model's name and a direction, ``input`` or ``output``."""

    model: str
    direction: str


@dataclass(frozen=True)
class Bill:
    """What the provider billed. Numbers it does not give are absent, never 0."""

    tokens: dict[Key, int]
    batch_tokens: dict[Key, int] = field(default_factory=dict)
    """The part of ``tokens`` used by batch jobs: no call of a client records them."""
    requests: dict[str, int] = field(default_factory=dict)
    """By model."""
    tools: dict[str, int] = field(default_factory=dict)
    """Requests to hosted tools, or sessions of them, by tool."""
    cost: dict[str, dict[str, float]] = field(default_factory=dict)
    """By currency and line item."""


class Gap(NamedTuple):
    """Seconds since the epoch between which telemetry has no sample."""

    start: float
    end: float


@dataclass(frozen=True)
class Recorded:
    """What telemetry has."""

    tokens: dict[Key, dict[str, float]]
    """By the source of usage."""
    failed: dict[Key, float] = field(default_factory=dict)
    """The part of ``tokens`` that failed calls used."""
    requests: dict[str, float] = field(default_factory=dict)
    """By model."""
    tools: dict[str, float] = field(default_factory=dict)
    """Requests to hosted tools, by tool."""
    answered: frozenset[tuple[str, str]] = frozenset()
    """Models that were requested, each with one that answered."""
    gaps: tuple[Gap, ...] = ()
    """No process had a sample for longer than five minutes."""
    starts: int = 0
    """Processes that were started or restarted within the days."""
    cost_usd: dict[str, float] = field(default_factory=dict)
    """By model, where the rules of ``tokentrail prices`` are loaded."""
