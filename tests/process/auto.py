"""What it takes to be started by ``opentelemetry-instrument``: the package looks installed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("opentelemetry-instrument")
METADATA = """\
Metadata-Version: 2.1
Name: {name}
Version: 0.0.1
{extra}
"""
EXTRA = """Provides-Extra: instruments
Requires-Dist: openai >= 1.40, < 4; extra == "instruments\""""
SDK = """
[opentelemetry_configurator]
configurator = opentelemetry.sdk._configuration:_OTelSDKConfigurator
"""
"""What the package opentelemetry-distro registers, which is all of it that matters here."""


def _entry_points():
    """Return the package's own entry points, as an installer would write them."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = re.search(r'^\[project\.entry-points\.(\w+)\]\n((?:\w+ = ".*"\n)+)', text, re.MULTILINE)
    return f"[{table[1]}]\n" + table[2].replace('"', "")


@pytest.fixture
def installed(tmp_path):
    """Make distributions of what the interpreter would find if the package were installed."""
    site = tmp_path / "site"
    for name, points, extra in (
        ("tokentrail", _entry_points(), EXTRA),
        ("distro", SDK, "Summary: configures"),
    ):
        folder = site / f"{name}-0.0.1.dist-info"
        folder.mkdir(parents=True)
        (folder / "entry_points.txt").write_text(points, encoding="utf-8")
        (folder / "METADATA").write_text(METADATA.format(name=name, extra=extra), encoding="utf-8")
    return site


def json_objects(text):
    """Yield the JSON objects that stand in a text among other lines."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        found, at = decoder.raw_decode(text, at)
        yield found
