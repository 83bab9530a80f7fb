"""Names that look like settings but are not: a misspelt one has no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.config.schema import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    return f"{name} is not a setting and has no effect{hint(nearest)}"


def hint(nearest: str | None) -> str:
    """Return the end of a sentence that names the nearest setting; empty if there is none."""
    return f": the nearest is {nearest}" if nearest else ""


def nearest_of(name: str, names: Iterable[str]) -> str | None:
    """Return the one of these names that ``name`` is probably meant to be."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, names, n=1)), None)


def _nearest(name: str) -> str | None:
    rest = name.removeprefix(_PREFIX)
    known = {setting.variable.removeprefix(_PREFIX): setting.variable for setting in SETTINGS}
    found = nearest_of(rest, known)
    return known[found] if found else None
