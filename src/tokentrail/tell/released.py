"""The metrics as the released conventions name them, and as dashboards know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.tell import names
from tokentrail.tell.instruments import seconds, tokens
from tokentrail.tell.plans import DURATION, KINDS

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from tokentrail.operation import Count, Operation, Request
    from tokentrail.tell.instruments import Record
    from tokentrail.tell.plans import Plan
    from tokentrail.tell.points import Alike


class ReleasedMetrics:
    """``gen_ai.client.operation.*`` and ``gen_ai.client.token.usage``."""

    told_by_others = True
    """Whether those told by another instrumentation as well are told twice."""

    def __init__(self, meter: Meter) -> None:
        self._duration = seconds(meter, names.DURATION, "Duration of a GenAI operation.")
        self._first_chunk = seconds(
            meter, names.FIRST_CHUNK, "Time from the request to the first chunk of a stream."
        )
        self._gap = seconds(
            meter, names.OUTPUT_CHUNK, "Time from one chunk of a stream to the next."
        )
        self._tokens = tokens(
            meter, names.TOKEN_USAGE, "Number of input and output tokens used by an operation."
        )

    def gap_recorder(self, request: Request) -> Record | None:  # noqa: ARG002 - as the other's
        """Return what records the seconds before a chunk."""
        return self._gap.record

    def plan_times(self, plan: Plan, operation: Operation, alike: Alike) -> None:  # noqa: ARG002 - the signature of every vocabulary
        """Have the seconds told that it took to the first chunk, and in all."""
        plan.first.append((self._first_chunk, alike.base))
        plan.points.append((DURATION, self._duration, alike.timed))

    def plan_tokens(
        self,
        plan: Plan,
        operation: Operation,  # noqa: ARG002 - the signature of every vocabulary
        place: int,
        count: Count,
        alike: Alike,
    ) -> None:
        """Have the tokens of one direction told, reported or counted."""
        source = {names.TOKEN_TYPE: KINDS[place], names.SOURCE: count.source.value}
        plan.points.append((place, self._tokens, {**alike.refined, **source}))
