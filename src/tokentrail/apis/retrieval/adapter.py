"""Searches of a vector store: its id and the number of results; no model, no tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.apis.embeddings.adapter import UnknownStream
from tokentrail.apis.failures import NO_ANSWER, as_answer, error_of_answer
from tokentrail.apis.values import integer, telemetry_str
from tokentrail.model.operations import RETRIEVAL
from tokentrail.model.records import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.model.records import Endpoint, TextSink


class RetrievalAdapter:
    """``vector_stores.search``: it never streams."""

    id_argument = "vector_store_id"
    """The name of the positional argument."""

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments, without the query."""
        return Request(
            operation=RETRIEVAL.name,
            api=RETRIEVAL.api,
            endpoint=endpoint,
            data_source_id=telemetry_str(arguments.get(self.id_argument)),
            result_limit=integer(arguments.get("max_num_results")),
        )

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a page of results, but not the results themselves."""
        given = as_answer(answer)
        if given is None:
            return NO_ANSWER
        answered = given.get("data") is not None
        error = error_of_answer(given, answered=answered)
        return Response(complete=bool(given), error_type=error, unanswered=not answered)

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> UnknownStream:
        """Return an accumulator that ignores everything: searches do not stream."""
        return UnknownStream()
