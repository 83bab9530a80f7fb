"""A call read at the moment it is written, before it is made.

What counting needs later is taken now: references to the caller's immutable strings. Iterators that
can be read but once are passed on through one that keeps what the client takes out of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokentrail import attribution, guard, usage_request
from tokentrail.config import StreamUsage
from tokentrail.content import Content, read_asked
from tokentrail.endpoint import endpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokentrail.engine import Engine
    from tokentrail.operation import Prompt, Request
    from tokentrail.recorder import Recorder
    from tokentrail.shapes import Shape
    from tokentrail.tell import Telling

_ONE_SHOT = ("messages", "input", "prompt", "tools", "functions")

_Kept = dict[str, tuple[list[object], Iterator[object]]]


@dataclass(slots=True)
class Prepared:
    """A call that will be recorded."""

    engine: Engine
    shape: Shape
    client: object
    request: Request
    given: Mapping[str, Any]
    """The application's own arguments."""
    bare: dict[str, Any]
    """The same for the client, with what is read only once kept while it is read."""
    kwargs: dict[str, Any]
    """What the client is called with."""
    kept: _Kept = field(default_factory=dict)
    """What was taken out of one-shot iterators, and what is left of them."""
    late_prompt: Callable[[], Prompt | None] | None = None
    said: Callable[[], Content] | None = None
    """Returns what the request says, where content is captured."""
    asked: bool = False
    """The server is asked for the usage of the stream, which the application did not do."""
    telling: Telling | None = None
    """How the call is told, once it is started."""
    refused: bool = False
    """It did not take that, and was asked again without."""

    def start(self) -> tuple[Recorder | None, Telling]:
        """Start to record and tell the call; there is no recorder where nobody would be told."""
        started = self.engine.start(
            self.shape, self.client, self.request, self.late_prompt, self.said, watched=self.asked
        )
        recorder, self.telling = started
        if recorder is not None and self.asked:
            recorder.usage_request = "requested"
        if self.engine.settings.request_hook is not None:
            self._run("request hook", self.engine.settings.request_hook, dict(self.given))
        return started

    def _run(self, title: str, hook: Callable[[Any, Any], object], seen: object) -> None:
        """Call a hook of the user's with the call's span; what it raises stays here."""
        try:
            if self.telling is not None:
                hook(self.telling.span, seen)
        except Exception as error:  # noqa: BLE001 - the user's own code raised
            guard.report(title, error)

    def again(self, error: BaseException, recorder: Recorder | None) -> dict[str, Any] | None:
        """Return the arguments for a second try if ``error`` came because we asked, else None."""
        if not self.asked or recorder is None or not usage_request.is_refusal(error):
            return None
        self.asked = False
        self.refused = True
        recorder.usage_request = "refused"
        return usage_request.taken_back(self.kwargs, self.given, self.kept)

    def answered(self, answer: object) -> None:
        """Note that the call went well: if it did so only at the second try, that is remembered."""
        if self.engine.settings.response_hook is not None:
            self._run("response hook", self.engine.settings.response_hook, answer)
        if self.refused:
            self.engine.refusals.add(self.request.endpoint.key)

    @property
    def conceal(self) -> Callable[[object], bool] | None:
        """What to ask of each chunk before the application gets it."""
        return usage_request.conceal if self.asked else None


def prepare(
    active: Engine, shape: Shape, instance: object, args: tuple[Any, ...], given: dict[str, Any]
) -> Prepared:
    """Read a call of a method of ``instance``."""
    client = getattr(instance, "_client", None)
    endpoint = endpoint_of(client)
    kwargs, kept = _record_one_shots(given)
    arguments = _arguments(args, kwargs)
    streamed = bool(arguments.get("stream"))
    request = shape.request(endpoint, arguments, prompt=streamed and not kept)
    if sources := active.settings.request_attributes:
        request = attribution.attributed(request, arguments, sources)
    prepared = Prepared(active, shape, client, request, given, kwargs, kwargs, kept)
    if kept or not streamed:
        read = _snapshot(arguments, kept)
        prepared.late_prompt = lambda: shape.request(endpoint, read).prompt
    if active.teller.captures:
        prepared.said = _said(prepared, arguments)
    if (
        active.settings.stream_usage is StreamUsage.REQUEST
        and usage_request.is_open(request, given)
        and not active.refusals.has(endpoint.key)
    ):
        prepared.kwargs = usage_request.added(kwargs)
        prepared.asked = True
    return prepared


def _said(prepared: Prepared, arguments: Mapping[str, object]) -> Callable[[], Content]:
    """Read what the request says: now, or once the client has read what can be read but once."""
    schemas = prepared.engine.settings.capture_tool_schemas
    if prepared.kept:
        later = _snapshot(arguments, prepared.kept)
        return lambda: read_asked(prepared.request, later, schemas=schemas)
    try:
        said = read_asked(prepared.request, arguments, schemas=schemas)
    except Exception as error:  # noqa: BLE001 - the call is told without
        guard.report("content of a request", error)
        said = Content()
    return lambda: said


def _snapshot(arguments: Mapping[str, object], kept: _Kept) -> Mapping[str, object]:
    """Return the arguments for a prompt that may be read later, if at all.

    A plain answer nearly always reports its usage, and then its prompt is never read. The
    application may go on with its lists meanwhile, so they are copied; a stream's prompt is read
    at once, since a stream is long and mostly silent on its usage.
    """
    read = dict(arguments)
    for name in _ONE_SHOT:
        value = read.get(name)
        if name in kept:
            read[name] = kept[name][0]
        elif isinstance(value, list):
            read[name] = tuple(value)
    return read


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, object]:
    """Return what is really sent: ``extra_body`` goes over the arguments.

    A positional argument is an id (``responses.retrieve(response_id)``). Whether an answer is
    read as a stream is the argument's word alone.
    """
    extra = kwargs.get("extra_body")
    if not args and extra is None:
        return kwargs
    arguments = dict(kwargs)
    if args:
        arguments.setdefault("response_id", args[0])
    if isinstance(extra, Mapping):
        arguments.update(extra)
        arguments["stream"] = kwargs.get("stream")
    return arguments


def _record_one_shots(given: dict[str, Any]) -> tuple[dict[str, Any], _Kept]:
    """Replace iterators by ones that keep what the client takes out of them."""
    kept: _Kept = {}
    kwargs = given
    for name in _ONE_SHOT:
        value = given.get(name)
        if value is not None and isinstance(value, Iterator):
            items: list[object] = []
            kept[name] = (items, value)
            kwargs = {**kwargs, name: _Recording(value, items)}
    return kwargs, kept


class _Recording:
    """The caller's iterator, by all that can be seen of it; keeps what is taken out."""

    __slots__ = ("_items", "_kept")

    def __init__(self, items: Iterator[object], kept: list[object]) -> None:
        self._items = items
        self._kept = kept

    @property  # type: ignore[misc, unused-ignore]
    def __class__(self) -> type:  # the client's errors name the class of what it was given
        return type(self._items)

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        item = next(self._items)
        self._kept.append(item)
        return item

    def __getattr__(self, name: str) -> object:
        return getattr(self._items, name)
