"""Names of models as patterns: the matches of genai-prices, as RE2 for Prometheus."""

from __future__ import annotations

import re
from typing import Any

Model = Any
"""The package's ``ModelInfo``."""
Clause = Any
"""One of the package's clauses, which may hold others."""


def model_matcher(model: Model, before: list[Model]) -> tuple[str, str | None] | None:
    """Return a pattern of the model's names, and one of those of the models ``before`` it.

    A name belongs to the first model that matches. ``None`` if RE2 cannot express the names.
    """
    mine = _pattern(model.match)
    if mine is None:
        return None
    earlier = [_pattern(one.match) for one in before if _meet(one, model)]
    others = "|".join(pattern for pattern in earlier if pattern)
    return f"(?i)({mine})", f"(?i)({others})" if others else None


def escape_regex(name: str) -> str:
    """Return the pattern of exactly this name."""
    return re.sub(r"([.+*?()|\[\]{}^$\\])", r"\\\1", name)


def _meet(one: Model, other: Model) -> bool:
    """Whether both may match the same name, judged by the names in their clauses."""
    return any(one.is_match(name) for name in _names(other.match)) or any(
        other.is_match(name) for name in _names(one.match)
    )


def _pattern(clause: Clause) -> str | None:
    said = vars(clause)
    if "or_" in said:
        each = [_pattern(one) for one in said["or_"]]
        return "|".join(dict.fromkeys(one for one in each if one)) or None
    for kind, form in _FORMS.items():
        if kind in said:
            return form.format(escape_regex(said[kind]))
    if "regex" in said and "(?" not in said["regex"]:
        return f".*({said['regex']}).*"
    return None


_FORMS = {"equals": "{}", "starts_with": "{}.*", "ends_with": ".*{}", "contains": ".*{}.*"}


def _names(clause: Clause) -> list[str]:
    said = vars(clause)
    if "or_" in said or "and_" in said:
        return [name for one in said.get("or_") or said["and_"] for name in _names(one)]
    return [str(value).strip("^$").replace("\\d", "0") for value in said.values()]
