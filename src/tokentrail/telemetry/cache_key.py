"""The prompt cache key of a request, if spans record it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokentrail.config import CacheKey
from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from tokentrail.model.records import Request

HASH_DIGITS: Final = 16
"""How many digits of the hash are recorded: enough to distinguish keys."""


def with_cache_key(request: Request, captured: CacheKey) -> Request:
    """Return ``request`` with its cache key as a span attribute, according to the setting."""
    key = request.cache_key
    if key is None or captured is CacheKey.OFF:
        return request
    if captured is CacheKey.HASH:
        key = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:HASH_DIGITS]
    return replace(request, attribution=(*request.attribution, (semconv.CACHE_KEY, key)))
