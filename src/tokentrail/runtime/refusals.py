"""Which servers refused to report the usage of streams, a short while ago."""

from __future__ import annotations

import time
from typing import Final

REMEMBERED: Final = 256
"""Servers whose refusal is remembered."""
FORGOTTEN_AFTER: Final = 600.0
"""Seconds until a server that refused is asked again."""


class Refusals:
    """Which servers refused the option a short while ago."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, server: str) -> None:
        """Remember that ``server`` (see ``include_usage.server_of``) refused."""
        self._until[server] = time.monotonic() + FORGOTTEN_AFTER
        if len(self._until) > REMEMBERED:
            # A list is made in one step, whatever other threads add meanwhile.
            self._until.pop(list(self._until)[0], None)  # noqa: RUF015 - for that

    def has(self, server: str) -> bool:
        """Whether ``server`` refused lately."""
        return self._until.get(server, 0.0) > time.monotonic()
