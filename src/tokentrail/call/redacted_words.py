"""Words outside of content that may quote it: stop texts, and codes that a server echoes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tokentrail.content import Redaction
    from tokentrail.model.records import Operation, RaisedException

OTHER: Final = "_OTHER"
"""The conventions' word for an error of no known kind."""


def redacted_exception(raised: RaisedException, rules: Redaction) -> RaisedException:
    """Return ``raised`` with what the user's settings leave of its message and stack trace."""
    message, stacktrace = (
        None if text is None else rules.text("error", text)
        for text in (raised.message, raised.stacktrace)
    )
    return replace(raised, message=message, stacktrace=stacktrace)


def redact_words(operation: Operation, rules: Redaction) -> None:
    """Keep of the words of ``operation`` what the user's ``redact`` leaves of them."""
    request, response = operation.request, operation.response
    if request.stop_sequences is not None:
        kept = (rules.text("stop", text) for text in request.stop_sequences)
        left = tuple(text for text in kept if text is not None)
        operation.request = replace(request, stop_sequences=left or None)
    code = None if response is None else response.error_type
    if code is not None and rules.text("error", code) != code:
        operation.error_type = OTHER
    described = operation.error_description
    if described is not None:
        status, _, code = described.rpartition(" ")
        if not code.isdecimal() and rules.text("error", code) != code:
            operation.error_description = status or None
