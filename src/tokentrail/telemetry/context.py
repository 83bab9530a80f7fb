"""Where a call is made: whether it is wanted there, and which call is on its way to the server."""

from __future__ import annotations

from contextvars import Context as Variables
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

CallContext = Context
"""What is current where a call is made. Layers above this one only pass it on."""


def _suppressing() -> tuple[str, ...]:
    with suppress_instrumentation():
        return tuple(otel_context.get_current())


without_instrumentation = suppress_instrumentation
"""Has nothing recorded of what is done inside it: functions of the user's may ask a model."""
_SUPPRESSING = Variables().run(_suppressing)
"""The keys under which a context says that nothing in it shall be recorded."""


class BodyReader(Protocol):
    """Takes the body of an answer before the client reads it."""

    headers: Mapping[str, str] | None
    """Those of the answer."""
    retries: tuple[str, ...]
    """Why the client tried again, each time."""

    def on_body(self, answer: object) -> None:
        """Take a plain answer that came whole."""


class EnclosingCall:
    """A call that is made current while it is sent, so that calls inside it are known."""

    __slots__ = ("_context", "_tokens", "body_reader", "client")

    def __init__(self, context: CallContext) -> None:
        self._context = context
        """The one in which its span is current."""
        self.client: object | None = None
        """Who sends it; ``None`` before, and once the answer is there."""
        self.body_reader: BodyReader | None = None
        """What reads its answer, until it is there."""
        self._tokens: tuple[Token[Context], Token[EnclosingCall | None]] | None = None
        """Where it was made current."""

    def attach(self, client: object) -> None:
        """Make the span current, and the call the one that others are inside of."""
        self.client = client
        self._tokens = (otel_context.attach(self._context), ENCLOSING.set(self))

    def detach(self) -> None:
        """Make current what was before :meth:`attach`, if we are still in its place.

        A coroutine that is closed or collected elsewhere has left that place for good. What happens
        from now on where it was made current (in tasks and callbacks) does not belong to it.
        """
        self.client = self.body_reader = None
        if self._tokens is None:
            return
        token, enclosing = self._tokens
        self._tokens = None
        if otel_context.get_current() is self._context:
            otel_context.detach(token)
        try:  # noqa: SIM105 - suppress() takes as long as all else here
            ENCLOSING.reset(enclosing)
        except ValueError:
            pass  # elsewhere


ENCLOSING: ContextVar[EnclosingCall | None] = ContextVar("tokentrail-enclosing", default=None)
"""The call that is on its way to the server."""


def context_to_instrument(client: object = None) -> CallContext | None:
    """Return the current context if a call of ``client`` is to be recorded there.

    The client's methods call one another; what another client does meanwhile, in a transport or
    a hook of the application's, are calls of its own.
    """
    context = otel_context.get_current()
    if any(map(context.get, _SUPPRESSING)):
        return None
    return context if ENCLOSING.get() is None or enclosing_call(client) is None else None


def enclosing_call(client: object = None) -> EnclosingCall | None:
    """Return the call that a call of ``client`` belongs to here."""
    call = ENCLOSING.get()
    if call is None or call.client is None:
        return None
    return call if client is None or client is call.client else None
