"""Results of Azure's content filter for prompts and answers: categories and severities, no text.

OpenAI's moderation results are read too, if they were requested and the answer has them.

Plain answers have results for the prompt and in each choice. A stream may have them on any chunk,
so only streams of Azure are checked chunk by chunk.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tokentrail.apis.values import fields, plain_str, sequence
from tokentrail.model.records import ContentFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD: Final = re.compile(r"[A-Za-z_][\w.\-]{0,63}")
_SEVERITIES: Final = {"safe": 0, "low": 1, "medium": 2, "high": 3}
_DETECTED: Final = "detected"
_MOST: Final = 32
"""More categories than exist, for prompts and answers each."""

_Found = dict[str, tuple[str | None, bool]]
"""For each category its severity, and whether it was filtered."""


class Findings:
    """The results so far, with the worst of each category; in bounded memory."""

    __slots__ = ("_input", "_output")

    def __init__(self) -> None:
        self._input: _Found = {}
        self._output: _Found = {}

    def of_prompts(self, results: object) -> None:
        """Add the list of results for each prompt."""
        for given in map(fields, sequence(results)):
            found = given.get("content_filter_results") or given.get("content_filter_result")
            _add(found, self._input)

    def of_answer(self, results: object) -> None:
        """Add the results of an answer, or of a part of it."""
        _add(results, self._output)

    def of_response(self, filters: object) -> None:
        """Add the results in a response of the responses API, for prompt and answer."""
        for given in map(fields, sequence(filters)):
            found = self._input if given.get("source_type") == "prompt" else self._output
            _add(given.get("content_filter_results"), found)

    def of_moderation(self, moderation: object) -> None:
        """Add the moderation results of an answer, for prompt and answer."""
        given = fields(moderation)
        for known, results in (
            (self._input, given.get("input")),
            (self._output, given.get("output")),
        ):
            value = fields(results)
            for result in map(fields, sequence(value.get("results")) or (value,)):
                if result.get("flagged") is True:
                    found = fields(result.get("categories"))
                    _add({name: {_DETECTED: is_so} for name, is_so in found.items()}, known)

    def outcome(self) -> ContentFilter | None:
        """Return all results; ``None`` if everything was safe."""
        asked, answered = self._input, self._output
        if not (asked or answered):
            return None
        return ContentFilter(
            _flagged(asked), _filtered(asked), _flagged(answered), _filtered(answered)
        )


def _add(results: object, known: _Found) -> None:
    for category, result in fields(results).items():
        if type(result) is dict and result.get("severity") == "safe" and not result.get("filtered"):
            continue  # nearly always
        severity, filtered = _found(result)
        if (severity is None and not filtered) or not _is_name(category):
            continue
        before = known.get(category, (None, False))
        if category in known or len(known) < _MOST:
            known[category] = (_more_severe(before[0], severity), before[1] or filtered)


def _found(result: object) -> tuple[str | None, bool]:
    """Return the severity of a result, unless it is safe, and whether it was filtered."""
    given = fields(result)
    filtered = given.get("filtered") is True
    severity = plain_str(given.get("severity"))
    if severity is not None and severity != "safe" and _is_name(severity):
        return severity, filtered
    return _DETECTED if given.get(_DETECTED) is True else None, filtered


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _more_severe(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda severity: _SEVERITIES.get(severity, 0))


def _flagged(known: _Found) -> tuple[str, ...] | None:
    return _some(f"{name}:{severity}" for name, (severity, _) in known.items() if severity)


def _filtered(known: _Found) -> tuple[str, ...] | None:
    return _some(name for name, (_, filtered) in known.items() if filtered)


def _some(words: Iterable[str]) -> tuple[str, ...] | None:
    return tuple(words) or None


def read_answer_filters(
    prompts: object, answers: list[object], moderation: object
) -> ContentFilter | None:
    """Return the results of a plain answer, for its prompts and choices."""
    found = Findings()
    found.of_moderation(moderation)
    found.of_prompts(prompts)
    for results in answers:
        found.of_answer(results)
    return found.outcome()


def read_response_filters(filters: object, moderation: object) -> ContentFilter | None:
    """Return the results of a response of the responses API."""
    if filters is None and moderation is None:
        return None
    found = Findings()
    found.of_moderation(moderation)
    found.of_response(filters)
    return found.outcome()


def read_refusal(body: object) -> ContentFilter | None:
    """Return the results of a refused prompt, from the body of an error."""
    inner = fields(body).get("innererror")
    if inner is None:
        return None
    found = Findings()
    found.of_prompts([inner])
    return found.outcome()
