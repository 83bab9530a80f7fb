"""What was run on top of the client, with which versions, and what was seen: docs/frameworks.json.

The nox sessions ``frameworks`` and ``webservers`` write it, where FRAMEWORKS_SEEN says under which
name; ``docs/frameworks.md`` is made of it.
"""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "docs" / "frameworks.json"
_NAME = os.environ.get("FRAMEWORKS_SEEN")
_seen: dict[str, list[str]] = {}
_packages: set[str] = set()


def keep(title: str, told: list[str], *packages: str) -> None:
    """Note what was told under a title, and which packages had a part in it."""
    _seen[title] = told
    _packages.update(packages)


def write(*, passed: bool) -> None:
    """Write down what was seen, if that is asked for and nothing failed."""
    if _NAME is None or not passed or not _seen:
        return
    stored: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    stored[_NAME] = {
        "python": platform.python_version(),
        "openai": version("openai"),
        "packages": {name: found for name in sorted(_packages) if (found := _version(name))},
        "seen": dict(sorted(_seen.items())),
    }
    RESULTS.write_text(json.dumps(dict(sorted(stored.items())), indent=1) + "\n")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
