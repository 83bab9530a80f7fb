"""Whose call it is, by the arguments of the call itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokentrail.operation import Request

_PREFIX = "tokentrail.request."


def attributed(
    request: Request, arguments: Mapping[str, object], sources: tuple[str, ...]
) -> Request:
    """Return ``request`` with what those of ``arguments`` say that ``sources`` names."""
    found: list[tuple[str, str]] = []
    for source in sources:
        value = arguments.get(source)
        if isinstance(value, str):
            found.append((_PREFIX + source, value))
        elif source == "metadata" and isinstance(value, Mapping):
            found.extend(
                (f"{_PREFIX}metadata.{key}", text)
                for key, text in value.items()
                if isinstance(key, str) and isinstance(text, str)
            )
    return replace(request, attribution=tuple(found)) if found else request
