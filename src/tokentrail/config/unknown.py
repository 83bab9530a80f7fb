"""Variables that look like settings but are not: a misspelt one has no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.config.schema import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX: Final = "TOKENTRAIL_"
_OTHERS: Final = frozenset({"TOKENTRAIL_STRICT"})
"""Of our own tests."""


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return each ``TOKENTRAIL_*`` name that no setting has, with the nearest that one has."""
    known = {setting.variable for setting in SETTINGS} | _OTHERS
    unknown = [name for name in environ if name.startswith(_PREFIX) and name not in known]
    return {name: _nearest(name) for name in sorted(unknown)}


def describe_unknown(name: str, nearest: str | None) -> str:
    """Return a sentence on one of them."""
    known = f": the nearest is {nearest}" if nearest else ""
    return f"{name} is not a setting and has no effect{known}"


def _nearest(name: str) -> str | None:
    from difflib import get_close_matches

    rest = name.removeprefix(_PREFIX)
    known = {setting.variable.removeprefix(_PREFIX): setting.variable for setting in SETTINGS}
    found = get_close_matches(rest, known, n=1, cutoff=0.6)
    return known[found[0]] if found else None
