"""``--docs``: the address of tokentrail's pages in links of dashboards and alerts.

The pages come with the source, and each company reads them at its own address: a forge or a wiki.
Without the option, links lead to a placeholder that explains it.
"""

from __future__ import annotations

import argparse
import re
from typing import Final

DOCS: Final = "https://tokentrail.invalid/docs"
"""Placeholder for the folder of pages in the shipped files."""
_URL: Final = re.compile(r"https?://[^\s\"'`{}$]+|/[^\s\"'`{}$]*")


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--docs`` to a command's parser."""
    parser.add_argument(
        "--docs",
        type=_url,
        metavar="URL",
        help="where you keep tokentrail's folder docs: alerts and dashboards link to its runbooks",
    )


def with_docs(text: str, url: str | None) -> str:
    """Return a file's text with links to the pages at ``url``."""
    return text if url is None else text.replace(DOCS, url)


def _url(given: str) -> str:
    if _URL.fullmatch(given):
        return given.rstrip("/")
    message = f"{given!r} is not an address: write https://... or a path on the same host"
    raise argparse.ArgumentTypeError(message)
