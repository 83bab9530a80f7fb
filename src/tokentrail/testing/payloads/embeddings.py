"""Embeddings, as lists of numbers or base64."""

from __future__ import annotations

import base64
import math
import sys
from array import array
from functools import lru_cache
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokentrail.testing.replies import JsonObject

_KINDS = 16


def embeddings(
    inputs: Sequence[str], *, model: str, tokens: int, dimensions: int, as_base64: bool
) -> JsonObject:
    """Return one unit vector for each input; equal inputs have equal vectors."""
    return {
        "object": "list",
        "model": model,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _vector(crc32(text.encode()) % _KINDS, dimensions, as_base64),
            }
            for index, text in enumerate(inputs)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


@lru_cache(maxsize=4 * _KINDS)
def _vector(seed: int, dimensions: int, as_base64: bool) -> str | list[float]:  # noqa: FBT001 - cached by it
    wave = [math.sin((seed + 1) * (position + 1)) for position in range(dimensions)]
    length = math.sqrt(sum(value * value for value in wave)) or 1.0
    vector = array("f", (value / length for value in wave))
    if not as_base64:
        return vector.tolist()
    if sys.byteorder == "big":
        vector.byteswap()
    return base64.b64encode(vector.tobytes()).decode()
