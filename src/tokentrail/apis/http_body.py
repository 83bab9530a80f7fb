"""The fields of an answer's body that is not parsed, or that others will parse.

The application's own classes are not made here, and a body of any size takes a bounded time: of a
large one, as of vectors and pictures, only both ends are read, where its usage and its model stand.
"""

from __future__ import annotations

import json
import re
from typing import Final

MAX_PARSED_BYTES: Final = 256 * 1024
"""Bytes that are read whole, in a millisecond or two."""
_END_BYTES: Final = 8 * 1024
"""Bytes of a larger one that are read at each end."""
_KEYS: Final = ("id", "model", "service_tier", "system_fingerprint", "usage")
_FIELD: Final = {key: re.compile(rf'"{key}"\s*:\s*') for key in _KEYS}
"""Inside a text the quotes would be escaped, so these are fields."""
_READER: Final = json.JSONDecoder()


def parse_body(body: object) -> object:
    """Return what the JSON of ``body`` says, or its bytes if it is none; ``None`` for no body."""
    if not isinstance(body, bytes):
        return None
    if len(body) > MAX_PARSED_BYTES:
        return _ends(body)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # the latter of JSON that is too deep
        return body


def _ends(body: bytes) -> dict[str, object]:
    head, tail = (
        part.decode("utf-8", "replace") for part in (body[:_END_BYTES], body[-_END_BYTES:])
    )
    found = {key: _first(field, head) or _last(field, tail) for key, field in _FIELD.items()}
    return {key: value for key, value in found.items() if value is not None}


def _first(field: re.Pattern[str], text: str) -> object:
    found = field.search(text)
    return None if found is None else _value(text, found.end())


def _last(field: re.Pattern[str], text: str) -> object:
    ends = [found.end() for found in field.finditer(text)]
    return _value(text, ends[-1]) if ends else None


def _value(text: str, at: int) -> object:
    try:
        return _READER.raw_decode(text, at)[0]
    except (ValueError, RecursionError):  # cut off, or too deep
        return None
