"""What the calls of a run come to, by model and in all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tokentrail.run.call_row import CallRow

UNNAMED: Final = "(no model)"
LIMIT_PASSED: Final = 9
"""The exit code where a limit was passed and the program itself ended well."""


@dataclass
class Total:
    """The sums of some calls."""

    calls: int = 0
    not_completed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    reported_input: int = 0
    """Input that a server reported: the cached tokens are a part of that."""
    cached_tokens: int = 0
    cost: float = 0.0
    """In USD, of the calls that have a price."""
    unpriced: int = 0
    """Calls with tokens and without a price."""

    def add(self, row: CallRow) -> None:
        """Take one more call."""
        self.calls += 1
        self.not_completed += row.outcome != "completed"
        self.input_tokens += row.input_tokens or 0
        self.output_tokens += row.output_tokens or 0
        if row.input_source == "reported":
            self.reported_input += row.input_tokens or 0
            self.cached_tokens += row.cached_tokens or 0
        self.cost += row.cost or 0.0
        has_tokens = row.input_tokens is not None or row.output_tokens is not None
        self.unpriced += row.cost is None and has_tokens

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def cached_share(self) -> float | None:
        """The share of the reported input that came from the provider's cache."""
        return self.cached_tokens / self.reported_input if self.reported_input else None

    @property
    def known_cost(self) -> float | None:
        """What the calls with a price cost in USD."""
        return self.cost or None

    def as_json(self) -> dict[str, Any]:
        """Return the sums; the cost is ``None`` where none is known."""
        return {
            "calls": self.calls,
            "not_completed": self.not_completed,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens,
            "cost": self.known_cost,
            "calls_without_price": self.unpriced,
        }


@dataclass
class Totals:
    """The sums of a run, and the sources of its numbers."""

    all: Total = field(default_factory=Total)
    models: dict[str, Total] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)

    def add(self, row: CallRow) -> None:
        """Take one more call."""
        self.all.add(row)
        self.models.setdefault(row.model or UNNAMED, Total()).add(row)
        self.sources |= {s for s in (row.input_source, row.output_source) if s is not None}

    def as_json(self) -> dict[str, Any]:
        """Return the last line of ``--json``."""
        models = {name: total.as_json() for name, total in self.models.items()}
        return {"summary": {**self.all.as_json(), "models": models}}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may come to."""

    tokens: int | None = None
    cost: float | None = None
    tokens_option: str = "--max-tokens"
    cost_option: str = "--max-cost"

    def passed(self, totals: Totals) -> list[str]:
        """Return a sentence for each limit that was passed."""
        total = totals.all
        found = []
        if self.tokens is not None and total.tokens > self.tokens:
            found.append(f"{total.tokens:,} tokens, more than {self.tokens_option} {self.tokens:,}")
        if self.cost is not None and total.cost > self.cost:
            found.append(f"${total.cost:.6f}, more than {self.cost_option} {self.cost:g}")
        return found

    def unsure(self, totals: Totals) -> str | None:
        """Return why a limit of money may have been passed unseen."""
        missing = totals.all.unpriced
        if self.cost is None or not missing:
            return None
        of_calls = f"{missing} of {totals.all.calls} calls"
        return f"{self.cost_option} leaves out {of_calls}, whose cost is not known"
