"""Tokens that were paid for and not used, with one reason per call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.model.records import COMPLETED

if TYPE_CHECKING:
    from tokentrail.model.records import Operation

REPEATED: Final = "repeated"
"""The reason of a request that was answered a moment ago already."""
_CUT: Final = ("content_filter", "length")
"""Finish reasons of an answer that was cut."""


def waste_reason(operation: Operation) -> str | None:
    """Return why the tokens of a call were wasted; ``None`` where they were not.

    The outcome of the call goes before the finish reason of its answer.
    """
    if operation.outcome is not COMPLETED:
        return str(operation.outcome.value)
    explanation = operation.explanation
    response = operation.response
    reasons = None if response is None else response.finish_reasons
    if reasons is not None:
        for reason in _CUT:
            if reason in reasons:
                return reason
    return REPEATED if explanation is not None and explanation.repeated else None
