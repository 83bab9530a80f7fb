"""The start of a call: the decisions made before the request is sent."""

from __future__ import annotations

import time
import weakref
from dataclasses import field
from typing import TYPE_CHECKING

from tokentrail import counting
from tokentrail.apis.readers import content_accumulator
from tokentrail.call.observed_call import ObservedCall
from tokentrail.call.reader import SentContent
from tokentrail.call.recorder import Recorder
from tokentrail.config import TokenCounting
from tokentrail.support import guard
from tokentrail.support.frozen import lean_dataclass
from tokentrail.telemetry import attribution
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from tokentrail.apis import ApiAdapter
    from tokentrail.apis import capture as captures
    from tokentrail.apis.capture import Capture
    from tokentrail.call.reader import RequestReader
    from tokentrail.content import parts
    from tokentrail.counting import Encoder, OutputTally
    from tokentrail.model.records import Request
    from tokentrail.runtime.runtime import Runtime
    from tokentrail.telemetry import cache_key
    from tokentrail.telemetry.context import CallContext
    from tokentrail.telemetry.emitter import CallTelemetry
else:
    from tokentrail.support.lazy import LateModule

    cache_key = LateModule("telemetry.cache_key")
    captures = LateModule("apis.capture")
    parts = LateModule("content.parts")

_OFF, _ALWAYS = TokenCounting.OFF, TokenCounting.ALWAYS


@lean_dataclass(frozen=False, slots=False)
class CallToRecord:
    """A call that is about to be made."""

    adapter: ApiAdapter
    client: object
    context: CallContext
    """The context that is current when the call is made."""
    request: Request
    usage_injected: bool = field(default=False, init=False)
    """Whether tokentrail, not the application, requested the usage of the stream. Such a stream
    must be observed in any case."""


def start_call(
    runtime: Runtime, call: CallToRecord, reader: RequestReader
) -> tuple[ObservedCall | None, CallTelemetry]:
    """Start a call that is about to be made; return its observer and its telemetry.

    ``reader`` reads the content, and the prompt if the request does not have it. The observer is
    ``None`` if nothing would be recorded: no span is sampled, and metrics and events are off.
    """
    if not runtime.is_prepared:
        runtime.prepare()
    delegated = runtime.conflicts.is_recorded_elsewhere(call.client, call.request.operation)
    request, keys = call.request, runtime.settings.baggage_keys
    has_key = request.cache_key is not None
    if has_key or keys or call.context or attribution.BLOCK.get() is not None:
        request = attribution.with_context_attributes(request, keys, call.context)
        if has_key:
            request = cache_key.with_cache_key(request, runtime.settings.capture_cache_key)
    begun = time.perf_counter()
    telemetry = runtime.emitter.start(request, call.context, delegated=delegated)
    try:
        is_observed = telemetry.is_observed
        if not (is_observed or call.usage_injected):
            return None, telemetry
        output = _output_tally(runtime, request) if is_observed and request.stream else None
        capture = None
        if runtime.emitter.captures_content and telemetry.wants_content:
            with guard.shield("content of a call"):  # which is recorded without it
                capture = _capture(runtime, reader, request)
        recorder = _recorder(call, request, telemetry, output, capture, begun)
        late = reader if is_observed and request.prompt is None else None
        observed = ObservedCall(runtime, request, telemetry, recorder, output, late)
        observed.capture = capture
        if runtime.settings.time_per_output_chunk and telemetry.records_gaps:
            recorder.keep_chunk_times()
        if output is not None:
            output.ask(_StreamEncoder(runtime, request, recorder))
        if _needs_encoding(runtime, call):
            runtime.start_encoding(runtime.identify(request, None).encoding)
        runtime.open_calls.add(observed)
    except BaseException:  # an interrupt: reading a long prompt takes a while
        telemetry.discard()
        raise
    return observed, telemetry


def _output_tally(runtime: Runtime, request: Request) -> OutputTally | None:
    """Start the worker; return the tally of a stream's output, if the output is counted."""
    runtime.worker.ensure()
    runtime.emitter.provider_flush.look_again()  # finalisers, which also queue calls, do not look
    mode = runtime.settings.token_counting
    if mode is _OFF or not resolve.shows_output(request):
        return None
    return counting.OutputTally()


def _capture(runtime: Runtime, reader: RequestReader, request: Request) -> Capture:
    """Return the capture of the content, with the content of the request already read."""
    emitter, settings = runtime.emitter, runtime.settings
    limit = settings.content_max_chars if settings.redact is None else None
    gathering = content_accumulator(request, schemas=settings.capture_tool_schemas, limit=limit)
    asked = SentContent(None, parts.Content())  # if reading it fails
    with guard.shield("content of a request"):
        asked = SentContent(reader, reader.read_content())
    return captures.Capture(asked, gathering, runtime.redaction, foreign=emitter.has_hook)


def _recorder(
    call: CallToRecord,
    request: Request,
    telemetry: CallTelemetry,
    output: OutputTally | None,
    capture: Capture | None,
    begun: float,
) -> Recorder:
    adapter = call.adapter
    if capture is not None:
        adapter = captures.CapturingAdapter(adapter, capture)
    recorder = Recorder(request, adapter, output, time.perf_counter, telemetry.start_time, begun)
    recorder.needs_details = telemetry.needs_details
    if capture is not None:
        recorder.keeps_error_text = True
    if telemetry.wants_partial_usage:
        recorder.is_followed = True
    return recorder


def _needs_encoding(runtime: Runtime, call: CallToRecord) -> bool:
    """Whether the call will probably be counted: few streams report their usage."""
    mode = runtime.settings.token_counting
    if mode is _ALWAYS or runtime.explainer is not None:
        return True
    return call.request.stream and not call.usage_injected and mode is not _OFF


class _StreamEncoder:
    """Finds the encoding for an answer while it streams; the tally calls it.

    It has only a weak reference to the recorder, whose accumulator fills the tally.
    """

    __slots__ = ("_recorder", "_request", "_runtime")

    def __init__(self, runtime: Runtime, request: Request, recorder: Recorder) -> None:
        self._runtime = runtime
        self._request = request
        self._recorder = weakref.ref(recorder)

    def __call__(self, held: int) -> Encoder | None:
        """Return the encoding, if it is there and answers are to be counted while they stream.

        It may be missing if the server is expected to report the usage. It is then made once
        ``held``, the bytes of text waiting, is large: without a report, a long answer would have to
        be estimated. An encoder in Python counts shorter answers on the worker, at the end.
        """
        recorder, runtime = self._recorder(), self._runtime
        if recorder is None or not recorder.is_open:
            return None
        model = runtime.identify(self._request, recorder.response_so_far())
        encoder = runtime.encodings.get(model.encoding)
        if held > counting.HELD // 4:
            runtime.start_encoding(model.encoding)
        elif counting.inline_weight(encoder) < counting.INLINE:
            return None
        return encoder
