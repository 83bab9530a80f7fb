"""Any value as JSON. Nothing here raises, whatever the value."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Final

DEPTH: Final = 32
"""Nesting levels that are read."""
VALUES: Final = 100_000
"""Values that are read at most: shared references can multiply without end."""
LEFT_OUT: Final = "…"
"""Replaces values that are too deep, too many, or contain themselves."""
_INT64: Final = 1 << 63
_MOST_BITS: Final = 10_000
"""Python refuses to write longer integers."""


def clean(text: str) -> str:
    """Return ``text`` as valid UTF-8: a lone surrogate becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def plain(value: object) -> object:
    """Return a copy of ``value`` made of dict, list, str, int, float, bool and ``None`` only.

    Telemetry's integers have 64 bits and JSON has no NaN: such numbers become text, and so does
    every other object, by ``str``. Bytes are replaced by their number.
    """
    return _Copy().of(value, DEPTH)


def to_json(value: object) -> str:
    """Return a :func:`plain` value as JSON text, with no more escapes than necessary."""
    try:
        return _dumps(value)
    except (TypeError, ValueError, RecursionError):
        return _dumps(plain(value))


def _dumps(value: object) -> str:
    return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def parsed(text: str) -> object:
    """Return the object or list if ``text`` is JSON of one, else ``text`` itself."""
    if text.lstrip()[:1] not in {"{", "["}:
        return clean(text)
    try:
        return plain(json.loads(text))
    except (ValueError, RecursionError):
        return clean(text)


class _Copy:
    """One copy in progress."""

    def __init__(self) -> None:
        self._left = VALUES
        self._inside: set[int] = set()

    def of(self, value: object, depth: int) -> object:
        self._left -= 1
        if value is None or type(value) is bool:
            return value
        if isinstance(value, str):
            return clean(str.__str__(value))
        if isinstance(value, int):
            return _integer(int.__index__(value))
        if isinstance(value, float):
            return float.__float__(value) if math.isfinite(value) else float.__repr__(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return sized(len(value))
        return self._compound(value, depth)

    def _compound(self, value: object, depth: int) -> object:
        if depth <= 0 or self._left <= 0 or id(value) in self._inside:
            return LEFT_OUT
        self._inside.add(id(value))
        try:
            return self._looked_into(value, depth - 1)
        except Exception:  # noqa: BLE001 - the application's own class raised
            return type(value).__name__
        finally:
            self._inside.discard(id(value))

    def _looked_into(self, value: object, depth: int) -> object:
        named = _named(value)
        if named is not None:
            items = ((_key(key), self.of(item, depth)) for key, item in named.items())
            return {key: item for key, item in items if self._left > 0}
        if isinstance(value, (list, tuple, set, frozenset)):
            copied = []
            for item in value:
                copied.append(self.of(item, depth))
                if self._left <= 0:
                    break
            return copied
        return clean(value.__name__ if isinstance(value, type) else str(value))


def sized(size: int) -> str:
    """Return the placeholder for ``size`` bytes that are left out."""
    return f"[{size} bytes]"


def _named(value: object) -> Mapping[object, object] | None:
    """Return the fields of a mapping, a model object (without its nulls) or a dataclass."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if hasattr(type(value), "__pydantic_validator__"):
        extra = getattr(value, "__pydantic_extra__", None)
        held = {**(extra if isinstance(extra, dict) else {}), **vars(value)}
        # Declared fields that were not sent are None.
        return {name: item for name, item in held.items() if item is not None}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _key(key: object) -> str:
    return clean(str.__str__(key) if isinstance(key, str) else str(key))


def _integer(value: int) -> int | str:
    if -_INT64 <= value < _INT64:
        return value
    return str(value) if value.bit_length() < _MOST_BITS else LEFT_OUT
