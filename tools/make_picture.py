"""Make docs/images/demo.svg: what ``make demo`` prints, as a terminal shows it.

    python tools/make_picture.py

The demo really runs; its times differ from run to run, so no test compares the picture.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from unittest import mock

from rich.console import Console
from rich.terminal_theme import MONOKAI

from tokentrail.demo import run

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "demo.svg"


def main() -> None:
    """Run the demo on a console that records, and write the picture."""
    # No terminal, or what moves would be recorded frame by frame.
    console = Console(
        highlight=False, record=True, width=80, file=io.StringIO(), color_system="truecolor"
    )
    with mock.patch.object(run, "Console", return_value=console):
        run.run()
    svg = console.export_svg(title="tokentrail demo", theme=MONOKAI)
    # The face is one that a browser would fetch from elsewhere; the reader's own will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    PICTURE.write_text(svg.replace("Fira Code, monospace", "monospace"), encoding="utf-8")


if __name__ == "__main__":
    main()
