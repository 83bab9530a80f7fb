"""Batches: the usage of all requests of a batch, once it is finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.embeddings.adapter import UnknownStream
from tokentrail.apis.failures import NO_ANSWER, as_answer, error_of_answer
from tokentrail.apis.reported_usage import read_usage
from tokentrail.apis.values import telemetry_str
from tokentrail.model.operations import FETCH_BATCH
from tokentrail.model.records import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.model.records import Endpoint, TextSink

_FINISHED: Final = frozenset({"completed", "failed", "expired", "cancelled"})


class BatchAdapter:
    """``batches.retrieve``: each fetch of a finished batch returns the usage of the whole batch."""

    id_argument = "batch_id"
    """The name of the positional argument."""

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read only the id of the batch."""
        return Request(
            operation=FETCH_BATCH.name,
            api=FETCH_BATCH.api,
            endpoint=endpoint,
            response_id=telemetry_str(arguments.get(self.id_argument)),
            fetches=True,
        )

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a ``Batch``; one that is not finished has no usage yet."""
        given = as_answer(answer)
        if given is None:
            return NO_ANSWER
        status = telemetry_str(given.get("status"))
        error = error_of_answer(given, answered=status is not None)
        return Response(
            id=telemetry_str(given.get("id")),
            model=telemetry_str(given.get("model")),
            status=status,
            reported=read_usage(given.get("usage")) if status in _FINISHED else None,
            background=True,
            complete=bool(given),
            error_type=error,
            unanswered=error is not None,
        )

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> UnknownStream:
        """Return an accumulator that ignores everything: batches do not stream."""
        return UnknownStream()
