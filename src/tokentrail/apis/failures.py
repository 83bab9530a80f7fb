"""Failures that came with status 200: error bodies, errors inside a choice, pages of HTML."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tokentrail.apis.values import error_code, fields, is_absent, plain_str, sequence
from tokentrail.model.records import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER_ERROR: Final = "_OTHER"
"""The conventions' ``error.type`` where nothing better is known."""
NO_ANSWER: Final = Response(complete=False, ended=False, unanswered=True, error_type=OTHER_ERROR)
"""What is known of text that no model wrote."""
_COMPLAINTS: Final = ("detail", "errors")
"""Where frameworks of web servers say what went wrong."""
_EVENTS: Final = ("data:", "event:", ":", "id:", "retry:")
"""What a body of events begins with: it is an answer, which nobody read as one."""


def is_error(error: object) -> bool:
    """Whether the value of a field reports an error."""
    if is_absent(error):
        return False
    return bool(error) if isinstance(error, (str, int, list)) else bool(fields(error))


def error_type(error: object) -> str:
    """Return the short code of an error, which may be a number or the error itself."""
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
    if not answered and any(is_error(answer.get(name)) for name in _COMPLAINTS):
        return OTHER_ERROR
    return None


def error_of_choices(choices: object) -> str | None:
    """Return the ``error.type`` of the first choice that failed."""
    for choice in sequence(choices):
        given = fields(choice)
        error = given.get("error")
        if is_error(error):
            return error_type(error)
        if given.get("finish_reason") == "error":
            return OTHER_ERROR
    return None


def as_answer(answer: object) -> Mapping[str, object] | None:
    """Return the fields of an answer; ``None`` where it is text that is no answer at all.

    Text of JSON is what a call gets that wants a ``str``; a page of HTML is a wrong address, or a
    proxy that wants a login.
    """
    if isinstance(answer, bytes):
        answer = answer.decode("utf-8", "replace")
    if not isinstance(answer, str):
        return fields(answer)
    text = answer.strip()
    if text.startswith("{"):
        try:
            return fields(json.loads(text))
        except (ValueError, RecursionError):  # the latter of JSON that is too deep
            return {}
    return {} if text.startswith(_EVENTS) else None
