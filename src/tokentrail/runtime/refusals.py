"""Which servers refused to report the usage of streams, a short while ago."""

from __future__ import annotations

import time
from typing import Final

from tokentrail.support.bounded import BoundedCache

REMEMBERED: Final = 256
"""Servers whose refusal is remembered."""
FORGOTTEN_AFTER: Final = 600.0
"""Seconds until a server that refused is asked again."""


class Refusals:
    """Which servers refused the option a short while ago."""

    def __init__(self) -> None:
        self._until: BoundedCache[str, float] = BoundedCache(REMEMBERED)

    def add(self, server: str) -> None:
        """Remember that ``server`` (see ``include_usage.server_of``) refused."""
        self._until.keep(server, time.monotonic() + FORGOTTEN_AFTER)

    def has(self, server: str) -> bool:
        """Whether ``server`` refused lately."""
        return self._until.get(server, 0.0) > time.monotonic()
