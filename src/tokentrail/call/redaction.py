"""Redaction of an ended call: of its content, and of other texts that may quote the content.

Stop sequences, error codes echoed by a server and exceptions are not content, but may quote it.
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
"""The ``error.type`` that the conventions define for an unknown error."""


def redacted_content(operation: Operation, capture: Capture, *, is_wanted: bool) -> Content | None:
    """Return the redacted content and release the rest; also redact the texts of ``operation``."""
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
    """Return ``raised`` with its message and stack trace redacted by the user's settings."""
    message, stacktrace = (
        None if text is None else rules.text("error", text)
        for text in (raised.message, raised.stacktrace)
    )
    return replace(raised, message=message, stacktrace=stacktrace)


def redact_words(operation: Operation, rules: Redaction) -> None:
    """Redact the stop sequences and error codes of ``operation`` by the user's ``redact``."""
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
