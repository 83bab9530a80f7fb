"""Embeddings: requests and answers, never their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.apis.inputs import read_inputs
from tokentrail.apis.reported_usage import embeddings_usage
from tokentrail.apis.values import fields, integer, telemetry_str
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
        """Read the keyword arguments; an encoding that the client adds itself is none."""
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
        """Read a ``CreateEmbeddingResponse``; there is no text for the sink."""
        given = fields(answer)
        return Response(
            model=telemetry_str(given.get("model")),
            reported=embeddings_usage(given.get("usage")),
            complete=bool(given),
        )

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> UnknownStream:
        """Return an accumulator that knows nothing: embeddings do not stream."""
        return UnknownStream()


class UnknownStream:
    """A stream where none is known: whatever it brings, nothing is told of it."""

    __slots__ = ()

    def add(self, chunk: object) -> None:
        """Take a chunk and leave it."""

    def response(self) -> Response:
        """Return an answer of which nothing was seen."""
        return Response(complete=False)


def _prompt(given: object) -> Prompt:
    texts, token_ids, unread = read_inputs(given)
    return Prompt(texts=texts, token_ids=token_ids, incomplete=unread)
