"""Attributes that the application sets on the spans of all calls made inside a block.

They travel in OpenTelemetry's context and in a variable of our own, so they follow the code into
coroutines and tasks, but not into threads that it starts. A framework that makes another context
current, as FastAPI does after dependencies ran, keeps the variable; a context that is passed on by
hand leaves it behind. They are read when the call is made, and do not change after that.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import baggage
from opentelemetry import context as otel_context

from tokentrail.apis.values import MAX_CHARS, encodable, integer
from tokentrail.support import guard
from tokentrail.telemetry.semconv import CONVERSATION_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.context import Context

    from tokentrail.model.records import AttributeValue, Request


KEY = otel_context.create_key("tokentrail-attributes")
"""Under which a context has the attributes that are set in it."""
_CONVERSATION: Final = "opentelemetry.util.genai._conversation_context"
_Scalar = str | bool | int | float
_KINDS = (str, bool, int, float)
"""What an attribute can be, or a list of; a boolean is a number, too, so it is asked for first."""


class _Block:
    """What holds in a block of :func:`attributes`, and the block around it."""

    __slots__ = ("around", "attributes")

    def __init__(self, attributes: dict[str, AttributeValue], around: _Block | None) -> None:
        self.attributes = attributes
        self.around = around

    def is_inside(self, other: _Block | None) -> bool:
        """Whether ``other`` is around this block, or there is none."""
        block: _Block | None = self
        while block is not other and block is not None:
            block = block.around
        return block is other


BLOCK: ContextVar[_Block | None] = ContextVar("tokentrail-attributes", default=None)
"""The block that the code is in. Can be reset only where it was set."""


def _current(context: Context) -> _Block | None:
    """Return the inner one of the blocks that the variable and an OpenTelemetry context have.

    If neither is inside the other the context was passed on by hand, and counts.
    """
    passed, here = context.get(KEY), BLOCK.get()
    if here is passed or here is None:
        return passed if isinstance(passed, _Block) else None
    if isinstance(passed, _Block) and not here.is_inside(passed):
        return passed
    return here


@contextmanager
def attributes(
    named: Mapping[str, AttributeValue | None] | None = None, /, **more: AttributeValue | None
) -> Iterator[None]:
    """Add these attributes to the span of every call made inside the block.

    Blocks can be nested: attributes of the outer block stay, and ``None`` removes one. They are on
    spans and events, and, except for lists, on metrics if ``custom_metric_attributes`` names them.
    A stream has the attributes that were set when it was requested.

    Args:
        named: Attributes whose names are not valid in Python, such as ``{"enduser.id": "7"}``.
        more: Attributes by name: text, a number, a boolean, or a list of one of these types.
    """
    around = _current(otel_context.get_current())
    held = {} if around is None else around.attributes
    block = _Block(_merged(held, {**(named or {}), **more}), around)
    here = BLOCK.set(block)
    token = otel_context.attach(otel_context.set_value(KEY, block))
    try:
        yield
    finally:
        # A generator that is closed elsewhere has left the place where they were attached for good,
        # and OpenTelemetry would log an error.
        with suppress(ValueError):
            BLOCK.reset(here)
            otel_context.detach(token)


def _merged(
    outside: Mapping[str, AttributeValue], named: Mapping[str, object]
) -> dict[str, AttributeValue]:
    merged = dict(outside)
    for name, value in named.items():
        name = encodable(name)  # noqa: PLW2901 - as the exporter can have it
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, _KINDS):
            merged[name] = _exportable(value)
        elif isinstance(value, (list, tuple)) and _is_uniform(value):
            merged[name] = _exportable_list(value)
        else:
            guard.warn_once(
                f"attribute {name}",
                "tokentrail.attributes(): %s is left out, because its value is of the type %s; "
                "allowed: str, bool, int, float, or a list of one of these.",
                name,
                type(value).__name__,
            )
    return merged


def _exportable(value: _Scalar) -> _Scalar:
    """Return a value as OTLP can carry it: one that it cannot fails the export of a whole batch.

    A number beyond 64 bits is its digits.
    """
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, float) or integer(int(value)) is not None:
        return value
    return _digits(value)


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # of more digits than Python writes
        return "_OTHER"


def _exportable_list(values: Sequence[Any]) -> AttributeValue:
    made: Any = tuple(map(_exportable, values))
    return made if _is_uniform(made) else tuple(map(str, made))


def _is_uniform(values: Sequence[object]) -> bool:
    """Whether an attribute can be a list of these: of one kind, and True is no number there."""
    kinds = {next((k for k in _KINDS if isinstance(value, k)), None) for value in values}
    return len(kinds) <= 1 and None not in kinds


def with_context_attributes(
    request: Request, baggage_keys: tuple[str, ...], context: Context
) -> Request:
    """Return ``request`` with the attribution and the conversation id of ``context``."""
    block, conversation = _current(context), _conversation_id(context)
    if conversation is None and block is None and not baggage_keys:
        return request
    found = dict(request.attribution)
    if conversation is not None:
        found.setdefault(CONVERSATION_ID, conversation)
    for key in baggage_keys:
        carried = baggage.get_baggage(key, context)
        if isinstance(carried, str):  # as it comes from a remote caller
            found[key] = encodable(carried)[:MAX_CHARS]
        elif isinstance(carried, _KINDS):
            found[key] = _exportable(carried)
    if block is not None:
        found.update(block.attributes)
    return replace(request, attribution=tuple(found.items()))


def _conversation_id(context: Context) -> str | None:
    """Return the conversation that an agent framework or a remote caller put into ``context``.

    opentelemetry-util-genai makes the key anew in each process; the package is never imported here.
    """
    key = getattr(sys.modules.get(_CONVERSATION), "CONVERSATION_ID_KEY", None)
    found = None if key is None else context.get(key)
    if not isinstance(found, str):
        found = baggage.get_baggage(CONVERSATION_ID, context)
    return encodable(found)[:MAX_CHARS] if isinstance(found, str) and found else None
