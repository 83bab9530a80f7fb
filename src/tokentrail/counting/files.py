"""Files: the text of a file in a prompt, if it is a text file."""

from __future__ import annotations

import base64
from binascii import Error

_TEXT = ("text/", "application/json", "application/xml", "application/x-yaml")


def file_text(url: str) -> str | None:
    """Return the text of a file given as a ``data:`` URL; None if it is no text or is missing."""
    head, comma, body = url.partition(",")
    kind = head[5:].lower()
    if not comma or head[:5].lower() != "data:" or not kind.startswith(_TEXT):
        return None
    if not kind.endswith(";base64"):
        return None
    try:
        return base64.b64decode(body, validate=True).decode("utf-8", "replace")
    except (Error, ValueError):
        return None
