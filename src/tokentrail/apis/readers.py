"""What reads an operation, by the names that its row has."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from tokentrail.model.operations import OPERATIONS
from tokentrail.support.fork import IMPORTING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.apis import ApiAdapter, ContentAccumulator, ContentReader
    from tokentrail.content.parts import Content
    from tokentrail.model.operations import OperationRow
    from tokentrail.model.records import Request


@cache
def adapter_of(row: OperationRow) -> ApiAdapter:
    """Return what reads the requests and answers of an operation: one for all of its methods."""
    return cast("ApiAdapter", late_adapter(row.adapter))


def late_adapter(name: str) -> Any:
    """Return what stands for an adapter, imported when the first call of its API is made."""
    return _LateAdapter(name)


class _LateAdapter:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        """Take the adapter's methods for its own, so that the next call finds them at once."""
        adapter = _named(self._name)
        for name in ("parse_request", "parse_response", "stream_accumulator"):
            setattr(self, name, getattr(adapter, name))
        return getattr(adapter, attribute)


def read_request_content(
    request: Request, arguments: Mapping[str, object], *, schemas: bool
) -> Content:
    """Return the content of a call's keyword arguments."""
    from tokentrail.content.parts import Content

    reader = _content_readers().get((request.operation, request.api))
    return Content() if reader is None else reader.read_request(arguments, schemas=schemas)


def content_accumulator(
    request: Request, *, schemas: bool, limit: int | None = None
) -> ContentAccumulator | None:
    """Return what gathers the answer to ``request``; ``None`` where no content is known.

    ``limit``: of each streamed text not much more than so many characters is kept.
    """
    reader = _content_readers().get((request.operation, request.api))
    if reader is None:
        return None
    made = reader.accumulator(schemas=schemas)
    made.limit = limit
    return made


@cache
def _content_readers() -> dict[tuple[str, str | None], ContentReader]:
    """Return what reads content, by operation and API; imported where the first is captured."""
    return {row.key: _named(row.content) for row in OPERATIONS if row.content is not None}


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    with IMPORTING:
        found = getattr(import_module(f"tokentrail.apis.{module}"), attribute)
    return found() if isinstance(found, type) else found
