"""What is loaded when: a process that never calls a model never pays for one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "openai",
    "tiktoken",
    "opentelemetry.sdk",
    "httpx",
    "httpx2",
    "pydantic",
    "rich",
    "regex",
    "genai_prices",
)

REPORT = f"""
import json, sys
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def _loaded_after(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{program}\n{REPORT}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("import tokentrail", id="import"),
        pytest.param("import tokentrail; tokentrail.instrument()", id="instrument"),
        pytest.param("import tokentrail; tokentrail.instrument(cost='counted')", id="cost"),
        pytest.param(
            "import tokentrail; tokentrail.instrument(); tokentrail.uninstrument()",
            id="uninstrument",
        ),
        pytest.param(
            "import tokentrail; tokentrail.instrument(); tokentrail.flush(1.0)", id="flush"
        ),
        pytest.param(
            "from tokentrail.instrumentor import OpenAIInstrumentor;"
            "OpenAIInstrumentor().instrument()",
            id="instrumentor",
        ),
    ],
)
def test_nothing_heavy_is_loaded_by(program):
    assert _loaded_after(program) == []


def test_importing_openai_afterwards_is_what_loads_it():
    """The test above would notice."""
    assert "openai" in _loaded_after("import tokentrail; tokentrail.instrument(); import openai")
