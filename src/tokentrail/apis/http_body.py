"""Reads the fields of an answer's body that is not parsed, or is parsed by others.

It creates no classes of the application, and takes bounded time for a body of any size. Of a large
body, such as vectors or images, only both ends are read: they contain the usage and the model.
"""

from __future__ import annotations

import json
import re
from typing import Final

MAX_PARSED_BYTES: Final = 256 * 1024
"""The largest body that is read whole, in a millisecond or two."""
_END_BYTES: Final = 8 * 1024
"""How many bytes of a larger body are read at each end."""
KEYS: Final = frozenset({"id", "model", "service_tier", "system_fingerprint", "usage"})
"""The fields that are read at the ends of a larger body."""
_FIELD: Final = {key: re.compile(rf'"{key}"\s*:\s*') for key in KEYS}
"""Patterns of fields. Within a string the quotes would be escaped, so matches are real fields."""
_READER: Final = json.JSONDecoder()


def parse_body(body: object) -> object:
    """Return the parsed JSON of ``body``, or its bytes if it is not JSON; ``None`` for no body."""
    if not isinstance(body, bytes):
        return None
    if len(body) > MAX_PARSED_BYTES:
        return _ends(body)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # RecursionError: JSON nested too deep
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
    except (ValueError, RecursionError):  # truncated, or nested too deep
        return None
