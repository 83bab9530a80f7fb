"""``--docs``: where dashboards and alerts say that the pages of tokentrail are.

The pages come with the source, and everybody reads them elsewhere: on a forge, or a wiki of one's
own. Until it is named, links lead to a place that says so.
"""

from __future__ import annotations

import argparse
import re
from typing import Final

DOCS: Final = "https://tokentrail.invalid/docs"
"""Stands for the folder of pages in the files that are shipped."""
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
    message = f"{given!r} is no address: https://..., or a path of the same host"
    raise argparse.ArgumentTypeError(message)
