"""Whose call it is, by the arguments of the call itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tokentrail.apis.values import telemetry_str

if TYPE_CHECKING:
    from tokentrail.model.records import Request

_PREFIX = "tokentrail.request."


def with_request_attributes(
    request: Request, arguments: Mapping[str, object], sources: tuple[str, ...]
) -> Request:
    """Return ``request`` with what those of ``arguments`` say that ``sources`` names."""
    found: list[tuple[str, str]] = []
    for source in sources:
        value = arguments.get(source)
        if (label := telemetry_str(value)) is not None:
            found.append((_PREFIX + source, label))
        elif source == "metadata" and isinstance(value, Mapping):
            found.extend(
                (f"{_PREFIX}metadata.{name}", label)
                for key, text in value.items()
                if (name := telemetry_str(key)) is not None
                and (label := telemetry_str(text)) is not None
            )
    return replace(request, attribution=tuple(found)) if found else request
