"""Takes the picture of a trace in a real backend: docs/images/trace-in-phoenix.png.

    make verify-phoenix    # installs Phoenix into .phoenix
    PYTHONPATH=. .venv/bin/python tools/picture_trace.py .phoenix/bin/phoenix

Needs Chromium on the path. What is said is captured here, which it is not by default, so that the
page has something to show.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.stack.calls import make_calls
from tests.stack.phoenix import Phoenix

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "trace-in-phoenix.png"
SIZE = "1400,900"
MILLISECONDS = 20_000
"""Of the page's own time, which Chromium lets pass at once."""


def address(phoenix: Phoenix) -> str:
    """Return the address of the trace, with the closed-early call selected."""
    told = make_calls(phoenix.traces, capture_content="span_only")
    spans = phoenix.spans(len(told))
    (call,) = (s for s in spans if s["attributes"].get("tokentrail.outcome") == "closed_early")
    (project,) = phoenix.ask("projects")
    trace = f"{phoenix.url}/projects/{project['id']}/traces/{call['context']['trace_id']}"
    return f"{trace}?selectedSpanNodeId={call['id']}"


def take(url: str, profile: str, picture: Path) -> None:
    """Write what a headless Chromium shows of ``url``."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium on the path: apt-get install chromium")
    options = [
        "--headless=new",
        "--hide-scrollbars",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        f"--user-data-dir={profile}",
        f"--window-size={SIZE}",
        f"--virtual-time-budget={MILLISECONDS}",
        f"--screenshot={picture}",
    ]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # it has none for root
    subprocess.run([browser, *options, url], check=True, capture_output=True, timeout=120)


def main(program: str) -> None:
    """Make the calls, show them, take the picture."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        phoenix = Phoenix(program, Path(folder))
        try:
            take(address(phoenix), f"{folder}/chromium", PICTURE)
        finally:
            phoenix.close()
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
