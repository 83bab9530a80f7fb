"""Failures with HTTP status 200: error bodies, errors in a choice, HTML pages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tokentrail.apis.http_body import KEYS
from tokentrail.apis.values import error_code, fields, is_absent, nonempty_str, plain_str, sequence
from tokentrail.model.records import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

FAILURES: Final = ("error", "failed")
"""The suffixes of finish reasons and statuses that are failures: ``error``, ``network_error``."""
OTHER_ERROR: Final = "_OTHER"
"""The conventions' ``error.type`` for errors without a known type."""
NO_ANSWER: Final = Response(complete=False, ended=False, unanswered=True, error_type=OTHER_ERROR)
"""The response for text that no model wrote."""
_COMPLAINTS: Final = (
    "detail", "errors", "message", "msg", "error_code", "error_msg", "error_message", "base_resp",
)  # fmt: skip
"""Fields in which servers without ``error`` report a failure."""
_EVENTS: Final = ("data:", "event:", ":", "id:", "retry:")
"""Starts of a body of server-sent events: an answer, but one not read as a stream."""


def is_error(error: object) -> bool:
    """Whether the value of a field reports an error; an empty one does not."""
    if is_absent(error):
        return False
    return (
        _stands(error) if isinstance(error, _PLAIN) else any(map(_stands, fields(error).values()))
    )


_PLAIN: Final = (str, int, float, list)


def _stands(value: object) -> bool:
    """Whether a value is not empty."""
    return bool(value) if isinstance(value, _PLAIN) else bool(fields(value))


def has_failed(word: str | None) -> bool:
    """Whether a finish reason or a status is a failure, in the word of any server."""
    return word is not None and word.lower().endswith(FAILURES)


def error_type(error: object) -> str:
    """Return the short code of an error; of a list, the first. The error may be its own code."""
    if isinstance(error, list):
        error = error[0] if error else None
    code = fields(error).get("code", error)
    known = str(code) if type(code) is int else error_code(code)
    return known or OTHER_ERROR


def error_of_answer(answer: Mapping[str, object], *, answered: bool) -> str | None:
    """Return the ``error.type`` of an answer that is an error; ``None`` if it is not an error.

    ``answered``: the answer contains output of the model.
    """
    error = answer.get("error")
    if is_error(error):
        return error_type(error)
    if plain_str(answer.get("object")) == "error":
        return error_type(answer)
    return None if answered else _complaint(answer)


def _complaint(answer: Mapping[str, object]) -> str | None:
    """Return the code of a complaint, from inside it or next to it."""
    for name in _COMPLAINTS:
        error = answer.get(name)
        if is_error(error):
            listed = error if isinstance(error, list) else None
            return error_type(listed or {"code": answer.get("code")})
    return None


def error_of_body(answer: Mapping[str, object], place: str, *, given: bool) -> str | None:
    """Return the ``error.type`` of a body that is no answer, or that has an error next to one.

    ``place``: the field of an answer that has the model's output; ``given``: whether that field is
    non-empty. A body with no output is not an answer, whatever it has, except if only the fields at
    the ends of a large one were read.
    """
    error = error_of_answer(answer, answered=given)
    if error is not None or given or answer.get(place) is not None:
        return error
    named = nonempty_str(answer.get("id")) or nonempty_str(answer.get("model"))
    if place in answer or named is None or not KEYS.issuperset(answer):
        return error_type(answer) if "code" in answer else OTHER_ERROR
    return None


def error_of_choices(choices: object) -> str | None:
    """Return the ``error.type`` of the first choice that failed."""
    for choice in sequence(choices):
        given = fields(choice)
        error = given.get("error")
        if is_error(error):
            return error_type(error)
        reason = plain_str(given.get("finish_reason"))
        if has_failed(reason):
            named = error_code(reason) if str(reason).lower() not in FAILURES else None
            return named or OTHER_ERROR
    return None


def as_answer(answer: object) -> Mapping[str, object] | None:
    """Return the fields of an answer; ``None`` if it is text that is no answer at all.

    A call that requests a ``str`` gets JSON text. An HTML page comes from a wrong URL, or from a
    proxy that requires a login.
    """
    if isinstance(answer, bytes):
        answer = answer.decode("utf-8", "replace")
    if not isinstance(answer, str):  # an error may be in a list, as in Google's answers
        return fields(answer[0] if isinstance(answer, list) and answer else answer)
    text = answer.strip()
    if text.startswith("{"):
        try:
            return fields(json.loads(text))
        except (ValueError, RecursionError):  # RecursionError: JSON nested too deep
            return {}
    return {} if text.startswith(_EVENTS) else None
