"""Finds the readers of an operation, by the names in its row."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from tokentrail.model.operations import OPERATIONS
from tokentrail.support.fork import IMPORTING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.apis import ApiAdapter, ContentAccumulator, ContentReader
    from tokentrail.content import parts
    from tokentrail.content.parts import Content
    from tokentrail.model.operations import OperationRow
    from tokentrail.model.records import Request
else:
    from tokentrail.support.lazy import LateModule

    parts = LateModule("content.parts")


@cache
def adapter_of(row: OperationRow) -> ApiAdapter:
    """Return the adapter of an operation, the same one for all of its methods."""
    return cast("ApiAdapter", late_adapter(row.adapter))


def late_adapter(name: str) -> Any:
    """Return a stand-in for an adapter that is imported at the first call of its API."""
    return _LateAdapter(name)


class _LateAdapter:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        """Copy the adapter's methods to this object, so that the next call finds them directly."""
        adapter = _named(self._name)
        for name in ("parse_request", "parse_response", "stream_accumulator"):
            setattr(self, name, getattr(adapter, name))
        return getattr(adapter, attribute)


def read_request_content(
    request: Request, arguments: Mapping[str, object], *, schemas: bool
) -> Content:
    """Return the content of a call's keyword arguments."""
    reader = _content_readers().get((request.operation, request.api))
    return parts.Content() if reader is None else reader.read_request(arguments, schemas=schemas)


def content_accumulator(
    request: Request, *, schemas: bool, limit: int | None = None
) -> ContentAccumulator | None:
    """Return the content accumulator for ``request``; ``None`` if its API has no content reader.

    ``limit``: roughly how many characters of each streamed text are kept.
    """
    reader = _content_readers().get((request.operation, request.api))
    if reader is None:
        return None
    made = reader.accumulator(schemas=schemas)
    made.limit = limit
    return made


@cache
def _content_readers() -> dict[tuple[str, str | None], ContentReader]:
    """Return the content readers by operation and API, imported at the first captured call."""
    return {row.key: _named(row.content) for row in OPERATIONS if row.content is not None}


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    with IMPORTING:
        found = getattr(import_module(f"tokentrail.apis.{module}"), attribute)
    return found() if isinstance(found, type) else found
