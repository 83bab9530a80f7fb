"""Summaries: requests, answers and streams."""

from __future__ import annotations

from tokentrail.apis.parameters import COMMON
from tokentrail.apis.reported_usage import read_usage
from tokentrail.apis.values import Parameters, fields, nonempty_str, telemetry_str
from tokentrail.model.operations import SUMMARIES
from tokentrail.model.records import Prompt, Response

_PARAMETERS = Parameters(*COMMON)


class SummariesAdapter:
    """``POST /summaries``."""

    def parse_request(self, endpoint, arguments, *, prompt=True):
        text = nonempty_str(arguments.get("text"))
        return _PARAMETERS.read(
            arguments,
            operation=SUMMARIES.name,
            api=SUMMARIES.api,
            endpoint=endpoint,
            prompt=Prompt(texts=() if text is None else (text,)) if prompt else None,
        )

    def parse_response(self, answer, sink):
        reading = SummaryAccumulator(sink)
        reading.add(answer)
        return reading.response()

    def stream_accumulator(self, request, sink):
        return SummaryAccumulator(sink)


class SummaryAccumulator:
    """Gathers an answer, which comes whole or in pieces of the same form."""

    def __init__(self, sink):
        self._sink = sink
        self.has_content = False
        self._model = self._reported = None
        self._done = False

    def add(self, chunk):
        given = fields(chunk)
        self._model = telemetry_str(given.get("model")) or self._model
        self._reported = read_usage(given.get("usage")) or self._reported
        self._done = given.get("done") is True
        text = nonempty_str(given.get("summary"))
        self.has_content |= text is not None
        if self._sink is not None and text is not None:
            self._sink.add("text", 0, 0, text)

    def response(self):
        return Response(
            model=self._model,
            finish_reasons=("stop" if self._done else "error",),
            reported=self._reported,
            complete=self._done,
            ended=self._done,
        )
