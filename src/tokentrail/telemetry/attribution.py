"""Whose call it is: names and values that the application sets for all calls of a stretch of code.

They travel in OpenTelemetry's context and in a variable of our own, so they follow the code into
coroutines and tasks, not into threads of its own making. A framework that puts another context in
force, as FastAPI does after dependencies ran, leaves the variable; a context that is passed on by
hand leaves the variable behind. They are taken when the call is made, and stay with it.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING

from opentelemetry import baggage
from opentelemetry import context as otel_context

from tokentrail.support import guard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.context import Context

    from tokentrail.model.records import AttributeValue, Request


KEY = otel_context.create_key("tokentrail-attributes")
"""Under which a context has the attributes that are set in it."""
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
    """Tell every call made inside with these attributes, beside those of a stretch around it.

    They are on spans and events, and on metrics where ``custom_metric_attributes`` names them and
    they are no lists. A stream bears those that held when it was asked for. A value of ``None``
    takes an attribute of the stretch around away.

    Args:
        named: Attributes whose names are no Python names, as ``{"enduser.id": "7"}``.
        more: Attributes by name: text, a number, a boolean, or a list of either kind of these.
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
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, _KINDS):
            merged[name] = value
        elif isinstance(value, (list, tuple)) and _is_uniform(value):
            merged[name] = tuple(value)
        else:
            guard.warn_once(
                f"attribute {name}",
                "tokentrail.attributes(): %s is a %s, which no attribute can be: left out.",
                name,
                type(value).__name__,
            )
    return merged


def _is_uniform(values: Sequence[object]) -> bool:
    """Whether an attribute can be a list of these: of one kind, and True is no number there."""
    kinds = {next((k for k in _KINDS if isinstance(value, k)), None) for value in values}
    return len(kinds) <= 1 and None not in kinds


def with_context_attributes(
    request: Request, baggage_keys: tuple[str, ...], context: Context
) -> Request:
    """Return ``request`` with what ``context`` says of whose it is."""
    block = _current(context)
    found = dict(request.attribution)
    for key in baggage_keys:
        carried = baggage.get_baggage(key, context)
        if isinstance(carried, _KINDS):
            found[key] = carried
    if block is not None:
        found.update(block.attributes)
    return replace(request, attribution=tuple(found.items()))
