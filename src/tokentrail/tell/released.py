"""The metrics as the released conventions name them, and as dashboards know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.tell import names
from tokentrail.tell.instruments import seconds, tokens

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter

    from tokentrail.operation import Count, Operation, Request
    from tokentrail.tell.instruments import Record
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

    def first_chunk(self, operation: Operation, alike: Alike, context: Context) -> None:
        """Record the seconds to the first chunk."""
        if operation.timing.first_chunk is not None:
            self._first_chunk.record(operation.timing.first_chunk, alike.base, context)

    def duration(self, operation: Operation, alike: Alike, context: Context) -> None:
        """Record the seconds the operation took."""
        self._duration.record(operation.timing.duration, alike.timed, context)

    def used(
        self,
        operation: Operation,  # noqa: ARG002 - the signature of every vocabulary
        kind: str,
        count: Count,
        alike: Alike,
        context: Context,
    ) -> None:
        """Record the tokens of one direction, reported or counted."""
        self._tokens.record(count.tokens, alike.used(kind, count.source), context)
