"""Embeddings: requests and answers, but never the vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.apis.choices import find_usage
from tokentrail.apis.failures import NO_ANSWER, as_answer, error_of_answer, error_of_body
from tokentrail.apis.inputs import read_inputs
from tokentrail.apis.reported_usage import embeddings_usage
from tokentrail.apis.values import integer, telemetry_str
from tokentrail.model.operations import EMBEDDINGS
from tokentrail.model.records import Prompt, Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.model.records import Endpoint, TextSink


class EmbeddingsAdapter:
    """``embeddings.create``: it has an input and no output, and never streams."""

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments, without an encoding that the client adds itself."""
        get = arguments.get
        encoding = telemetry_str(get("encoding_format"))
        return Request(
            operation=EMBEDDINGS.name,
            api=EMBEDDINGS.api,
            endpoint=endpoint,
            model=telemetry_str(get("model")),
            dimension_count=integer(get("dimensions")),
            encoding_formats=None if encoding is None else (encoding,),
            prompt=_prompt(get("input")) if prompt else None,
        )

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a ``CreateEmbeddingResponse``; it has no text for the sink."""
        given = as_answer(answer)
        if given is None:
            return NO_ANSWER
        reported = embeddings_usage(find_usage(given))
        data = given.get("data") is not None  # the vectors are not read
        error = error_of_answer(given, answered=True)
        if not data and reported is None and not isinstance(answer, (str, bytes)):
            error = error_of_body(given, "data", given=data)
        return Response(
            model=telemetry_str(given.get("model")),
            reported=reported,
            complete=bool(given),
            error_type=error,
            unanswered=error is not None and reported is None,
        )

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> UnknownStream:
        """Return an accumulator that ignores everything: embeddings do not stream."""
        return UnknownStream()


class UnknownStream:
    """Ignores a stream where none is expected."""

    __slots__ = ()
    has_content = False

    def add(self, chunk: object) -> None:
        """Ignore a chunk."""

    def response(self) -> Response:
        """Return an incomplete answer without any data."""
        return Response(complete=False)


def _prompt(given: object) -> Prompt:
    texts, token_ids, unread = read_inputs(given)
    return Prompt(texts=texts, token_ids=token_ids, incomplete=unread)
