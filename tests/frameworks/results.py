"""What was run on top of the client, with which versions, and what was seen: docs/frameworks.json.

The nox sessions ``frameworks`` and ``webservers`` write it, where FRAMEWORKS_SEEN says under which
name and all tests were run; ``docs/frameworks.md`` is made of it. The hooks here are those of both
conftests.
"""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).parents[2] / "docs" / "frameworks.json"
_NAME = os.environ.get("FRAMEWORKS_SEEN")
_seen: dict[str, list[str]] = {}
_packages: set[str] = set()
_left_out: list[str] = []


def keep(title: str, told: list[str], *packages: str) -> None:
    """Note what was told under a title, and which packages had a part in it."""
    _seen[title] = told
    _packages.update(packages)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Note tests that are not run, by ``-k`` perhaps: what is seen is not all that there is."""
    _left_out.extend(item.nodeid for item in items)


def pytest_sessionfinish(exitstatus: int) -> None:
    """Write down what was seen, if that is asked for and all of it was run and went well."""
    if _NAME is None or exitstatus != pytest.ExitCode.OK or _left_out or not _seen:
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
