"""What the user's settings leave of the content of a call that ended, and of what quotes it.

Stop texts, codes that a server echoes and exceptions are outside of content, and may quote it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokentrail.support import guard
from tokentrail.telemetry.context import without_instrumentation

if TYPE_CHECKING:
    from tokentrail.apis.capture import Capture
    from tokentrail.content import Content, Redaction
    from tokentrail.model.records import Operation, RaisedException

OTHER: Final = "_OTHER"
"""The conventions' word for an error of no known kind."""


def redacted_content(operation: Operation, capture: Capture, *, is_wanted: bool) -> Content | None:
    """Return what is kept of the content, and let go of the rest, in ``operation`` too."""
    raised, content = operation.raised, None
    operation.raised = raised and replace(raised, message=None, stacktrace=None)
    try:
        if not is_wanted:
            return None
        with guard.shield("content"), without_instrumentation():
            if raised is not None:
                raised = redacted_exception(raised, capture.rules)
            if capture.rules.redact is not None:
                redact_words(operation, capture.rules)
            content = capture.content()
            operation.raised = raised
    finally:
        capture.release()
    return content


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
