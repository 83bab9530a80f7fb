"""What was seen to be told, release by release: stored, and compared with what is stored.

``docs/supported-methods.md`` is made of it.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
from tests.surface.table import HELPER, HELPERS, METHODS, WAYS

if TYPE_CHECKING:
    from tests.surface.taking import Told

RESULTS = Path(__file__).parents[2] / "docs" / "supported-methods.json"
"""What each release was seen to tell; written where SURFACE_RELEASE says which of the matrix runs,
else compared with. ``docs/supported-methods.md`` is made of it."""
_RELEASE = os.environ.get("SURFACE_RELEASE")
_seen: dict[str, dict[str, Any]] = {}


def _stored() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


@cache
def _expected() -> dict[str, Any]:
    """Return what is stored of this release; of one that is not listed, what of the newest."""
    stored = _stored()
    known = {each["openai"]: each["methods"] for each in stored.values()}
    return known.get(openai.__version__) or stored["newest"]["methods"]


def keep(path: str, way: str, told: Told | None) -> None:
    """Note what was told of a call, or that the release has no such method."""
    said = None if told is None else str(told)
    if _RELEASE is None:
        known = _expected().get(path, {}).get(way)
        assert known == said, f"docs/supported-methods.json is stale on {path}: run nox -s methods"
        return
    before = _seen.setdefault(path, {}).setdefault(way, said)
    assert before == said, f"{path} is not told alike by all clients"


def write() -> None:
    """Write down what was seen, if that is asked for and everything was looked at."""
    names = [way.name for way in (*WAYS, HELPER)]
    paths = [method.path for method in (*METHODS, *HELPERS)]
    if _RELEASE is None or set(_seen) != set(paths):
        return
    seen = {
        path: {name: _seen[path][name] for name in names if _seen[path].get(name)} for path in paths
    }
    stored = {**_stored(), _RELEASE: {"openai": openai.__version__, "methods": seen}}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(dict(sorted(stored.items(), key=_age)), indent=1) + "\n")


def _age(release: tuple[str, dict[str, Any]]) -> list[int]:
    return [int(part) for part in release[1]["openai"].split(".")]
