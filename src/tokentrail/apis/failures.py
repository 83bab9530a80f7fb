"""Failures that came with status 200: error bodies, errors inside a choice, pages of HTML."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tokentrail.apis.values import error_code, fields, is_absent, nonempty_str, plain_str, sequence
from tokentrail.model.records import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

ERROR: Final = "error"
"""The end of a finish reason that is a failure: ``error``, ``network_error``."""
OTHER_ERROR: Final = "_OTHER"
"""The conventions' ``error.type`` where nothing better is known."""
NO_ANSWER: Final = Response(complete=False, ended=False, unanswered=True, error_type=OTHER_ERROR)
"""What is known of text that no model wrote."""
_COMPLAINTS: Final = (
    "detail", "errors", "message", "msg", "error_code", "error_msg", "error_message", "base_resp",
)  # fmt: skip
"""Where servers that have no ``error`` say what went wrong."""
_EVENTS: Final = ("data:", "event:", ":", "id:", "retry:")
"""What a body of events begins with: it is an answer, which nobody read as one."""


def is_error(error: object) -> bool:
    """Whether the value of a field reports an error; one in which nothing stands is none."""
    if is_absent(error):
        return False
    return (
        _stands(error) if isinstance(error, _PLAIN) else any(map(_stands, fields(error).values()))
    )


_PLAIN: Final = (str, int, float, list)


def _stands(value: object) -> bool:
    """Whether there is anything in a value."""
    return bool(value) if isinstance(value, _PLAIN) else bool(fields(value))


def error_type(error: object) -> str:
    """Return the short code of an error, of the first of a list; it may be the error itself."""
    if isinstance(error, list):
        error = error[0] if error else None
    code = fields(error).get("code", error)
    known = str(code) if type(code) is int else error_code(code)
    return known or OTHER_ERROR


def error_of_answer(answer: Mapping[str, object], *, answered: bool) -> str | None:
    """Return the ``error.type`` of an answer that is an error; ``None`` if it is none.

    ``answered``: the model's own words are there.
    """
    error = answer.get("error")
    if is_error(error):
        return error_type(error)
    if plain_str(answer.get("object")) == "error":
        return error_type(answer)
    return None if answered else _complaint(answer)


def _complaint(answer: Mapping[str, object]) -> str | None:
    """Return the code beside a complaint, or in it."""
    for name in _COMPLAINTS:
        said = answer.get(name)
        if is_error(said):
            listed = said if isinstance(said, list) else None
            return error_type(listed or {"code": answer.get("code")})
    return None


def error_of_body(answer: Mapping[str, object], place: str, *, given: bool) -> str | None:
    """Return the ``error.type`` of a plain answer that is none, or an error beside one.

    ``place``: where an answer has what the model wrote, ``given`` if something stands there. A body
    with nothing there that is named by no id and no model is no answer, whatever else it is.
    """
    error = error_of_answer(answer, answered=given)
    if error is not None or given or answer.get(place) is not None:
        return error
    named = nonempty_str(answer.get("id")) or nonempty_str(answer.get("model"))
    if place in answer or named is None:
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
        if reason is not None and reason.lower().endswith(ERROR):
            return OTHER_ERROR if reason.lower() == ERROR else error_code(reason) or OTHER_ERROR
    return None


def as_answer(answer: object) -> Mapping[str, object] | None:
    """Return the fields of an answer; ``None`` where it is text that is no answer at all.

    Text of JSON is what a call gets that wants a ``str``; a page of HTML is a wrong address, or a
    proxy that wants a login.
    """
    if isinstance(answer, bytes):
        answer = answer.decode("utf-8", "replace")
    if not isinstance(answer, str):  # an error may stand in a list, as Google's do
        return fields(answer[0] if isinstance(answer, list) and answer else answer)
    text = answer.strip()
    if text.startswith("{"):
        try:
            return fields(json.loads(text))
        except (ValueError, RecursionError):  # the latter of JSON that is too deep
            return {}
    return {} if text.startswith(_EVENTS) else None
