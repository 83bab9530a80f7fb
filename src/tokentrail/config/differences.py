"""Which settings a second ``instrument()`` asks for that are not in force."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING

from tokentrail.config.values import ContentCapture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.config.schema import Settings


def different_settings(active: Settings, asked: Mapping[str, object]) -> list[str]:
    """Return the names of settings that differ between ``asked`` and ``active``."""
    return [name for name, value in asked.items() if not _is_same(getattr(active, name), value)]


def would_withhold(active: Settings, asked: Mapping[str, object]) -> bool:
    """Whether content that ``active`` has recorded would not be recorded as it is, as ``asked``.

    Two redactions cannot be combined, so another one counts as one that withholds more.
    """
    if asked.get("disabled") is True:
        return True
    if asked.get("capture_content") is ContentCapture.NO_CONTENT:
        return True
    redact = asked.get("redact")
    return redact is not None and not _is_same(active.redact, redact)


def _is_same(before: object, now: object) -> bool:
    """Whether two values do the same; a cell of a notebook that runs again makes new functions."""
    if before == now:
        return True
    if isinstance(before, FunctionType) and isinstance(now, FunctionType):
        return _facts(before) == _facts(now)
    return False


def _facts(function: FunctionType) -> tuple[object, ...]:
    cells = function.__closure__ or ()
    return (
        function.__code__,
        function.__defaults__,
        function.__kwdefaults__,
        id(function.__globals__),
        [id(cell.cell_contents) for cell in cells],
    )
