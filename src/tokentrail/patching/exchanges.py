"""What the client's own HTTP exchanges say of a call: tries that it repeats, headers of answers.

Two methods below every call are watched. Nothing is read here but what went wrong with a try; the
headers are kept as they are until the points of the call are recorded.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tokentrail.support import guard
from tokentrail.telemetry.context import ENCLOSING

if TYPE_CHECKING:
    from collections.abc import Callable

    _Method = Callable[..., Any]

_RETRY_SHIELD = guard.shield("retry")


def on_processed(
    wrapped: _Method, client: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> object:
    """Keep the headers of an answer for the call that it belongs to; wrapt's wrapper.

    One function and no shield, since every call comes by: nothing here can raise.
    """
    call = ENCLOSING.get()
    if call is not None and call.client is client and call.body_reader is not None:
        call.body_reader.headers = getattr(kwargs.get("response"), "headers", None)
    return wrapped(*args, **kwargs)


def on_retry(
    wrapped: _Method, client: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> object:
    """Note that the client tries a call again, and why; wrapt's wrapper.

    It works out how long to wait while it handles what went wrong.
    """
    with _RETRY_SHIELD:
        call, error = ENCLOSING.get(), sys.exc_info()[1]
        if call is not None and call.client is client and call.body_reader is not None:
            call.body_reader.retries = (*call.body_reader.retries, _cause(error))
    return wrapped(*args, **kwargs)


def _cause(error: BaseException | None) -> str:
    """Return the status of a refusal, ``timeout``, or the class of what else went wrong."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if type(status) is int:
        return str(status)
    if error is None:
        return "_OTHER"
    kind = type(error)
    if "Timeout" in kind.__name__:
        return "timeout"
    return f"{kind.__module__}.{kind.__qualname__}"
