"""Make docs/images/demo.svg and run.svg: what the two commands print, as a terminal shows it.

    python tools/make_picture.py

The demo really runs; its times differ from run to run, so no test compares the picture.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tokentrail.demo import run
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

IMAGES = Path(__file__).parents[1] / "docs" / "images"
PROGRAM = """
import openai
from opentelemetry import trace
client, tracer = openai.OpenAI(), trace.get_tracer("shop")
def ask(model, text, **more):
    said = [{"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=said, **more)
with tracer.start_as_current_span("POST /answer"):
    ask("gpt-4o-mini", "Why does the sea taste of salt?")
    list(ask("gpt-4.1", "How do birds find their way?", stream=True))
with tracer.start_as_current_span("POST /plan"):
    list(ask("o4-mini", "Plan my day in a town by the sea.", stream=True))
    ask("gpt-4o-mini", "And the night?", stream=True).close()
"""


def main() -> None:
    """Run both and write their pictures."""
    _demo()
    _run()


def _run() -> None:
    """Run a program under ``tokentrail run`` on a terminal, and write what came there."""
    with Server(Model(delay=0.01)) as server, tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "app.py"
        program.write_text(PROGRAM, encoding="utf-8")
        ours, its = pty.openpty()
        subprocess.run(
            [sys.executable, "-m", "tokentrail", "run", program],
            env={**os.environ, "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": server.base_url},
            stderr=its,
            check=True,
        )
        os.close(its)
        shown = os.read(ours, 65536).decode().replace("\r\n", "\n")
        os.close(ours)
    console = terminal()
    console.print(Text("$ tokentrail run app.py", "bold"))
    console.print(Text.from_ansi(shown))
    write(console, "run")


def _demo() -> None:
    # No terminal, or what moves would be recorded frame by frame.
    console = terminal()
    with mock.patch.object(run, "Console", return_value=console):
        run.run()
    write(console, "demo")


def terminal() -> Console:
    """Return a terminal of 80 columns that remembers what came there."""
    return Console(
        highlight=False, record=True, width=80, file=io.StringIO(), color_system="truecolor"
    )


def write(console: Console, command: str) -> None:
    """Write the picture of what came there."""
    svg = console.export_svg(title=f"tokentrail {command}", theme=MONOKAI)
    # The face is one that a browser would fetch from elsewhere; the reader's own will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "monospace")
    (IMAGES / f"{command}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
