"""The tokens of calls without token metrics of the conventions, by the price that they have.

Of images and audio by modality, of responses made in the background by what the cache did: our own
counter of tokens is all that the rules of prices have of these calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.model.operations import BILLED_AS
from tokentrail.telemetry import semconv
from tokentrail.telemetry.metrics.modality import split
from tokentrail.telemetry.metrics.tools import image_points

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.model.records import Reported
    from tokentrail.telemetry.metrics.series import Attributes

WRITTEN: Final = "written"
_STATES: Final = (("cache_read_tokens", "read"), ("cache_write_tokens", WRITTEN))


def billed_parts(
    operation: str, kind: str, total: int, reported: Reported
) -> Iterator[tuple[int, Attributes]]:
    """Yield parts that sum to a reported total, with attributes; ``kind``: input or output."""
    billed_as = BILLED_AS.get(operation)
    if billed_as == "images":
        for number, labels in image_points(reported):
            if labels.pop(semconv.TOKEN_TYPE) == kind:
                yield number, labels
    elif billed_as is not None:
        for modality, number in split(kind, total, reported):
            yield number, {semconv.MODALITY: modality}
    else:
        yield from _by_cache(total, reported if kind == "input" else None)


def _by_cache(total: int, reported: Reported | None) -> Iterator[tuple[int, Attributes]]:
    rest = total
    for field, state in _STATES:
        number = min(getattr(reported, field, None) or 0, rest)
        if number:
            rest -= number
            yield number, {semconv.CACHE_STATE: state}
    yield rest, {}
