"""Names of models as patterns: what genai-prices matches in Python, said in RE2 for Prometheus."""

from __future__ import annotations

import re
from typing import Any

Model = Any
"""The package's ``ModelInfo``."""
Clause = Any
"""One of the package's clauses, which may hold others."""


def model_matcher(model: Model, before: list[Model]) -> tuple[str, str | None] | None:
    """Return a pattern of the model's names, and one of those that go ``before`` it.

    The first model that matches has a name. ``None`` where RE2 cannot say which names it has.
    """
    mine = _pattern(model.match)
    if mine is None:
        return None
    earlier = [_pattern(one.match) for one in before if _meet(one, model)]
    others = "|".join(pattern for pattern in earlier if pattern)
    return f"(?i)({mine})", f"(?i)({others})" if others else None


def escape_regex(name: str) -> str:
    """Return the pattern of this very name."""
    return re.sub(r"([.+*?()|\[\]{}^$\\])", r"\\\1", name)


def _meet(one: Model, other: Model) -> bool:
    """Whether there may be a name that both match, going by the names they speak of."""
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
