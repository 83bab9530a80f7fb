"""A call read before it is made: what it asks for when it is written, its prompt when it is sent.

That may be later: a coroutine sends what stands in the caller's lists when it is awaited. (Keys
that are put into an ``extra_body`` in between are sent and not told.) What counting needs at the
end is taken then: references to the caller's immutable strings. Iterators that can be read but once
are passed on through one that keeps what the client takes out of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokentrail.apis.values import deep_copy, is_other_collection
from tokentrail.config import StreamUsage
from tokentrail.content import read_request_content
from tokentrail.model.endpoint import endpoint_of
from tokentrail.patching import include_usage
from tokentrail.patching.replay import READ_IN_TURN, USUAL, Kept, recorded
from tokentrail.support import guard
from tokentrail.telemetry import request_attributes

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context

    from tokentrail.apis import ApiAdapter
    from tokentrail.call.recorder import Recorder
    from tokentrail.content import Content
    from tokentrail.model.records import Request
    from tokentrail.runtime.runtime import Engine
    from tokentrail.telemetry.emitter import Telling


_CONTAINERS = READ_IN_TURN | {"response_format", "text"}
"""Arguments of a prompt that may be containers of the application's."""


@dataclass
class Prepared:
    """A call that will be recorded. What is not known yet, or seldom so, is the class's own."""

    engine: Engine
    shape: ApiAdapter
    client: object
    context: Context
    """What is current where it is made."""
    request: Request
    given: Mapping[str, Any]
    """The application's own arguments."""
    bare: dict[str, Any]
    """The same for the client, with what is read only once kept while it is read."""
    kwargs: dict[str, Any]
    """What the client is called with."""
    kept: Kept
    """What was taken out of one-shot iterators, and what is left of them."""
    arguments: dict[str, object]
    """What is really sent."""
    is_unusual: bool = field(default=False, init=False)
    """There are collections of other kinds than lists in it, or iterators."""
    is_late: bool = field(default=False, init=False)
    """The prompt is read at the end of the call, if at all."""
    taken: dict[str, object] | None = field(default=None, init=False)
    """The arguments as they were when it was sent, for a prompt that is read late."""
    asked: bool = field(default=False, init=False)
    """The server is asked for the usage of the stream, which the application did not do."""
    telling: Telling | None = field(default=None, init=False)
    """How the call is told, once it is started."""
    recorder: Recorder | None = field(default=None, init=False)
    """What records it then, unless nobody would be told."""
    refused: bool = field(default=False, init=False)
    """It did not take that, and was asked again without."""

    def start(self) -> None:
        """Start to record and tell the call, and make its span current."""
        self.recorder, self.telling = recorder, telling = self.engine.start(
            self.shape,
            self.client,
            self.context,
            self.request,
            self._read,
            self._said,
            early=not self.is_late,
            watched=self.asked,
        )
        if recorder is not None:
            self._take()
            telling.recorder = recorder
            if self.asked:
                recorder.usage_request = "requested"
        if self.engine.settings.request_hook is not None:
            self._run("request hook", self.engine.settings.request_hook, self._shown)
        telling.attach()

    def leave(self) -> None:
        """Make current again what was before."""
        try:
            if self.telling is not None:
                self.telling.detach()
        except Exception as error:  # noqa: BLE001 - the application gets its answer
            guard.internal_error("context", error)

    def _take(self) -> None:
        """Take what a late prompt will be read of: the application may go on with its lists.

        A plain answer nearly always reports its usage, and then its prompt is never read. A
        stream's is read at once, since a stream is long and mostly silent on its usage.
        """
        if self.is_late and self.taken is None:
            self.taken = taken = dict(self._sent())
            for name in taken.keys() & _CONTAINERS:
                taken[name] = self.kept[name][0] if name in self.kept else deep_copy(taken[name])

    def _read(self) -> Request:
        """Return the request with its prompt."""
        return self.shape.parse_request(self.request.endpoint, self.taken or self._sent())

    def _said(self) -> Callable[[], Content]:
        """Read what it says: now, or once the client has read what can be read but once."""
        schemas = self.engine.settings.capture_tool_schemas
        if self.kept:
            self._take()
            return lambda: read_request_content(self.request, self.taken or {}, schemas=schemas)
        said = read_request_content(self.request, self._sent(), schemas=schemas)
        return lambda: said

    def _sent(self) -> dict[str, object]:
        """Return what is sent, with lists in place of other collections."""
        return _listed(self.arguments) if self.is_unusual else self.arguments

    def _shown(self) -> dict[str, Any]:
        """Return a copy of the arguments to look at, without what can be read but once."""
        return {name: deep_copy(v) for name, v in self.given.items() if name not in self.kept}

    def _run(
        self, title: str, hook: Callable[[Any, Any], object], seen: Callable[[], object]
    ) -> None:
        """Call a hook of the user's with the call's span; what it raises stays here."""
        try:
            if self.telling is not None:
                hook(self.telling.span, seen())
        except Exception as error:  # noqa: BLE001 - the user's own code raised
            guard.internal_error(title, error)

    def again(self, error: BaseException) -> dict[str, Any] | None:
        """Return the arguments for a second try if ``error`` came because we asked, else None."""
        recorder = self.recorder
        if not self.asked or recorder is None or not include_usage.is_refusal(error):
            return None
        self.asked = False
        self.refused = True
        recorder.usage_request = "refused"
        return include_usage.taken_back(self.kwargs, self.given, self.kept)

    def answered(self, answer: object) -> None:
        """Note that the call went well: if it did so only at the second try, that is remembered."""
        if self.engine.settings.response_hook is not None:
            self._run("response hook", self.engine.settings.response_hook, lambda: answer)
        if self.refused:
            key = self.request.endpoint.key
            self.engine.refusals.add(include_usage.server_of(key, self.client, self.given))


def prepare(  # noqa: PLR0913, PLR0917 - a call, as wrapt hands it on
    active: Engine,
    shape: ApiAdapter,
    client: object,
    context: Context,
    args: tuple[Any, ...],
    given: dict[str, Any],
) -> Prepared:
    """Read a call of a method of ``client`` that is made in ``context``, but for its prompt."""
    endpoint = endpoint_of(client)
    kwargs, arguments = given, given
    kept: Kept = {}
    is_unusual = False
    for name, value in given.items():
        if name in READ_IN_TURN and type(value) not in USUAL:
            kwargs, kept = recorded(given)
            arguments, is_unusual = kwargs, True
            break
    if args or "extra_body" in given:
        arguments = _merged(args, arguments)
    read = _listed(arguments) if is_unusual else arguments
    request = shape.parse_request(endpoint, read, prompt=False)
    if sources := active.settings.request_attributes:
        request = request_attributes.with_request_attributes(request, arguments, sources)
    prepared = Prepared(
        active, shape, client, context, request, given, kwargs, kwargs, kept, arguments
    )
    if is_unusual:
        prepared.is_unusual = True
    if kept or not arguments.get("stream"):
        prepared.is_late = True
    if (
        active.settings.stream_usage is StreamUsage.REQUEST
        and include_usage.is_open(request, given)
        and not active.refusals.has(include_usage.server_of(endpoint.key, client, given))
    ):
        prepared.kwargs = include_usage.added(kwargs)
        prepared.asked = True
    return prepared


def _listed(arguments: dict[str, object]) -> dict[str, object]:
    """Return the arguments with lists in place of other collections."""
    others = {
        name: list(v)
        for name, v in arguments.items()
        if name in READ_IN_TURN and is_other_collection(v)
    }
    return {**arguments, **others}


def _merged(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return what is really sent: ``extra_body`` goes over the arguments.

    A positional argument is an id (``responses.retrieve(response_id)``). Whether an answer is
    read as a stream is the argument's word alone.
    """
    arguments = dict(kwargs)
    if args:
        arguments.setdefault("response_id", args[0])
    extra = kwargs.get("extra_body")
    if isinstance(extra, Mapping):
        arguments.update(extra)
        arguments["stream"] = kwargs.get("stream")
    return arguments
