"""Numbers that sum to a total."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Return parts of ``total`` in proportion to ``weights``, by largest remainder.

    They sum to it exactly, unless no weight exceeds 0: then each is 0.
    """
    sum_of_weights = sum(weights)
    if sum_of_weights <= 0:
        return [0] * len(weights)
    parts = [total * weight // sum_of_weights for weight in weights]
    remainders = [total * weight % sum_of_weights for weight in weights]
    largest = sorted(range(len(weights)), key=lambda place: -remainders[place])
    for place in largest[: total - sum(parts)]:
        parts[place] += 1
    return parts
