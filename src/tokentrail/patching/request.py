"""Reads a call: its parameters when the method is called, its prompt when the request is sent.

The request may be sent later: a coroutine sends what the caller's lists contain when it is awaited.
(Keys added to an ``extra_body`` in between are sent but not recorded.) The data for counting is
taken at that time, as references to the caller's immutable strings. One-shot iterators are replaced
by iterators that keep the items the client consumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from tokentrail.apis.readers import read_request_content
from tokentrail.apis.values import deep_copy, is_other_collection
from tokentrail.call.start import CallToRecord, start_call
from tokentrail.config import StreamUsage
from tokentrail.model.endpoint import endpoint_of
from tokentrail.patching.replay import READ_IN_TURN, USUAL, Kept, recorded
from tokentrail.support import guard
from tokentrail.support.frozen import lean_dataclass
from tokentrail.telemetry.context import without_instrumentation

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokentrail.apis import ApiAdapter
    from tokentrail.call.observed_call import ObservedCall
    from tokentrail.content import Content
    from tokentrail.model.records import Endpoint, Request
    from tokentrail.patching import include_usage
    from tokentrail.patching.include_usage import UsageFilter
    from tokentrail.runtime import stream_usage
    from tokentrail.runtime.runtime import Runtime
    from tokentrail.telemetry import request_attributes
    from tokentrail.telemetry.context import CallContext
    from tokentrail.telemetry.emitter import CallTelemetry
else:
    from tokentrail.support.lazy import LateModule

    include_usage = LateModule("patching.include_usage")
    request_attributes = LateModule("telemetry.request_attributes")
    stream_usage = LateModule("runtime.stream_usage")

_CONTEXT_SHIELD = guard.shield("context")
"""Created once: creating a shield takes as long as entering it."""

_CONTAINERS = READ_IN_TURN | {"response_format", "text"}
"""Arguments of a prompt that may be mutable containers of the application."""


@lean_dataclass(frozen=False, slots=False)
class CallArguments(CallToRecord):
    """The arguments of a call, parsed. Defaults are the values not known yet, or rarely set."""

    runtime: Runtime
    original: Mapping[str, Any]
    """The arguments that the application passed."""
    retryable: dict[str, Any]
    """The same arguments for the client; iterators are replaced so that consumed items are kept."""
    sent: dict[str, Any]
    """The arguments that the client is called with."""
    replay_buffers: Kept
    """The consumed items of one-shot iterators, and the rest of them."""
    effective: dict[str, object]
    """The parameters of the request, with ``extra_body`` merged in."""
    is_unusual: bool = field(default=False, init=False)
    """Whether the arguments contain iterators, or collections that are not lists."""
    snapshot: dict[str, object] | None = field(default=None, init=False)
    """The arguments at the time of sending, from which the prompt is read later."""
    usage_filter: UsageFilter | None = field(default=None, init=False)
    """The filter of the stream's usage, which sees each chunk before the application."""

    def take_snapshot(self) -> None:
        """Copy the arguments of the prompt: the application may modify its lists afterwards.

        If the server reports the usage, the prompt is never read.
        """
        if self.snapshot is None:
            effective = self._listed() if self.is_unusual else self.effective
            self.snapshot = taken = dict(effective)
            buffers = self.replay_buffers
            for name in taken.keys() & _CONTAINERS:
                taken[name] = buffers[name][0] if name in buffers else deep_copy(taken[name])

    @property
    def held(self) -> object:
        """The object from which the prompt is read."""
        return self.snapshot

    def read_request(self) -> Request:
        """Return the request with its prompt, as it was sent."""
        return self.adapter.parse_request(self.request.endpoint, self.snapshot or self._listed())

    def read_content(self) -> Content | None:
        """Return the content of the request; ``None`` if the client has to read it first."""
        if self.replay_buffers:
            self.take_snapshot()
            return None
        return self._content(self._listed())

    def read_sent_content(self) -> Content:
        """Return the content of the request, after the client has read it."""
        return self._content(self.snapshot or {})

    def _content(self, arguments: Mapping[str, object]) -> Content:
        schemas = self.runtime.settings.capture_tool_schemas
        return read_request_content(self.request, arguments, schemas=schemas)

    def _listed(self) -> dict[str, object]:
        """Return the sent arguments, with other collections replaced by lists."""
        return _listed(self.effective) if self.is_unusual else self.effective

    def copy_to_show(self) -> dict[str, Any]:
        """Return a copy of the arguments for a hook, without one-shot iterators."""
        buffers = self.replay_buffers
        return {name: deep_copy(v) for name, v in self.original.items() if name not in buffers}


Sender = tuple[object, "Endpoint | None"]
"""A client, and the server if the call does not go to the client's base URL."""


class SentCall:
    """A call in progress: its arguments, its observer and its telemetry."""

    __slots__ = (
        "arguments", "call", "is_refused", "is_under_way", "telemetry", "usage_injected",
    )  # fmt: skip

    def __init__(self, arguments: CallArguments) -> None:
        self.arguments = arguments
        self.call: ObservedCall | None = None
        """``None`` if nothing would be recorded."""
        self.telemetry: CallTelemetry | None = None
        """``None`` until the call is started."""
        self.usage_injected = arguments.usage_injected
        """Whether tokentrail requested the usage and the server did not refuse."""
        self.is_under_way = False
        """Whether the span of the call may be current."""
        self.is_refused = False
        """Whether the server refused the option and the request was repeated without it."""

    def start(self) -> None:
        """Start the call and make its span current."""
        arguments, runtime = self.arguments, self.arguments.runtime
        self.call, self.telemetry = call, telemetry = start_call(runtime, arguments, arguments)
        if telemetry.is_observed:
            arguments.take_snapshot()
        if call is not None:
            telemetry.body_reader = call.recorder
            if self.usage_injected:
                call.recorder.usage_request = "requested"
        if runtime.settings.request_hook is not None:
            self._run_hook("request hook", runtime.settings.request_hook, arguments.copy_to_show)
        self.is_under_way = True
        telemetry.attach(arguments.client)

    def retry_kwargs(self, error: BaseException) -> dict[str, Any] | None:
        """Return the arguments for a second try if our option caused ``error``; else ``None``."""
        call, arguments = self.call, self.arguments
        if not self.usage_injected or call is None or not include_usage.is_refusal(error):
            return None
        self.usage_injected = False
        self.arguments.usage_filter = None
        self.is_refused = True
        call.recorder.usage_request = "refused"
        return include_usage.taken_back(
            arguments.sent, arguments.original, arguments.replay_buffers
        )

    def detach(self) -> None:
        """Restore the context that was current before."""
        if self.telemetry is not None:
            try:
                self.telemetry.detach()
            except BaseException as error:
                if not _CONTEXT_SHIELD.takes(error):
                    raise
        self.is_under_way = False

    def on_success(self, answer: object) -> None:
        """Run the response hook; remember a server that only accepted the second try."""
        arguments, runtime = self.arguments, self.arguments.runtime
        if runtime.settings.response_hook is not None:
            self._run_hook("response hook", runtime.settings.response_hook, lambda: answer)
        if self.is_refused:
            key = arguments.request.endpoint.key
            server = include_usage.server_of(key, arguments.client, arguments.original)
            runtime.stream_usage.add_refusal(server)

    def _run_hook(
        self, title: str, hook: Callable[[Any, Any], object], shown: Callable[[], object]
    ) -> None:
        """Call a hook of the user with the call's span; its exceptions do not propagate."""
        with guard.shield(title):
            if self.telemetry is not None:
                with without_instrumentation():
                    hook(self.telemetry.span, shown())


def read_arguments(
    runtime: Runtime,
    adapter: ApiAdapter,
    sender: Sender,
    context: CallContext,
    args: tuple[Any, ...],
    original: dict[str, Any],
) -> CallArguments:
    """Read a call that ``sender`` makes in ``context``, without its prompt."""
    client, endpoint = sender
    endpoint = endpoint_of(client) if endpoint is None else endpoint
    retryable, effective = original, original
    buffers: Kept = {}
    is_unusual = False
    for name, value in original.items():
        if name in READ_IN_TURN and type(value) not in USUAL:
            retryable, buffers = recorded(original)
            effective, is_unusual = retryable, True
            break
    if args or "extra_body" in original:
        effective = _merged(args, effective, adapter)
    read = _listed(effective) if is_unusual else effective
    request = adapter.parse_request(endpoint, read, prompt=False)
    if sources := runtime.settings.request_attributes:
        request = request_attributes.with_request_attributes(request, effective, sources)
    arguments = CallArguments(
        adapter,
        client,
        context,
        request,
        runtime,
        original,
        retryable,
        retryable,
        buffers,
        effective,
    )
    if is_unusual:
        arguments.is_unusual = True
    if request.stream and runtime.settings.stream_usage is StreamUsage.REQUEST:
        _ask_for_usage(runtime, arguments)
    return arguments


def _ask_for_usage(runtime: Runtime, arguments: CallArguments) -> None:
    """Add the option for the usage of a stream, if the request and the server allow it."""
    request, original, memory = arguments.request, arguments.original, runtime.stream_usage
    if not include_usage.is_open(request, original):
        return
    server = include_usage.server_of(request.endpoint.key, arguments.client, original)
    habit = memory.habit(server) or include_usage.habit_of(request.endpoint.address)
    if habit in {stream_usage.Habit.ALWAYS, stream_usage.Habit.REFUSED}:
        return
    if habit is stream_usage.Habit.DOUBT and memory.begin_trial(server):
        arguments.usage_filter = include_usage.UnaskedUsage(memory, server)
        return
    arguments.sent = include_usage.added(arguments.retryable)
    arguments.usage_injected = True
    arguments.usage_filter = include_usage.InjectedUsage(memory, server, habit)


def _listed(arguments: dict[str, object]) -> dict[str, object]:
    """Return the arguments, with other collections replaced by lists."""
    others = {
        name: list(v)
        for name, v in arguments.items()
        if name in READ_IN_TURN and is_other_collection(v)
    }
    return {**arguments, **others}


def _merged(args: tuple[Any, ...], kwargs: dict[str, Any], adapter: ApiAdapter) -> dict[str, Any]:
    """Return the parameters that are sent: ``extra_body`` overrides the arguments.

    A positional argument is an id (``responses.retrieve(response_id)``). Only the argument
    ``stream`` decides whether the client reads the answer as a stream.
    """
    arguments = dict(kwargs)
    if args:
        arguments.setdefault(getattr(adapter, "id_argument", "response_id"), args[0])
    extra = kwargs.get("extra_body")
    if isinstance(extra, Mapping):
        arguments.update(extra)
        arguments["stream"] = kwargs.get("stream")
    return arguments
