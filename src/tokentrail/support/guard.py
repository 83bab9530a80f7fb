"""What goes wrong in our own code stays in our own code.

Every step of ours at an edge of the application runs under a :class:`shield` and its errors end
here: one log record for each place, and a counter. What is logged is the kind of the error and
where it stands in our code, never its text, which could quote a prompt. Under tests
(``TOKENTRAIL_STRICT=1``) the error is raised instead.
"""

from __future__ import annotations

import logging
import os
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_logger = logging.getLogger("tokentrail")
_told: set[str] = set()

strict: bool = os.environ.get("TOKENTRAIL_STRICT") == "1"
"""Raise our own errors instead of swallowing them."""

swallowed: int = 0
"""How many errors of ours the application was spared in this process."""


class shield:  # noqa: N801 - reads as the statement it makes: with guard.shield("answer")
    """Has errors of ours end at the end of the block; the application's code goes on after it.

    What is no Exception passes: an interrupt is the application's.
    """

    __slots__ = ("_place",)

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> bool:
        """Swallow an error of ours, or let it pass where :data:`strict` is set."""
        if not isinstance(error, Exception):
            return False
        _note(self._place, error)
        return not strict


def internal_error(place: str, error: BaseException) -> None:
    """Count ``error``, log it once for ``place``; raise it where :data:`strict` is set.

    For the path of a chunk, on which a :class:`shield` takes too long, and for threads of ours.
    """
    _note(place, error)
    if strict:
        raise error


def _note(place: str, error: BaseException) -> None:
    global swallowed
    swallowed += 1
    if strict or place in _told:
        return
    _told.add(place)
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    path = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    with suppress(Exception):  # a handler of the application's may raise
        _logger.error(
            "tokentrail failed at %s (%s at %s). The application's call is not affected; its "
            "telemetry may be incomplete. Said once for this place.",
            place,
            type(error).__name__,
            path,
        )


def warn_once(key: str, message: str, *args: object) -> None:
    """Log a warning once in the life of the process for ``key``."""
    if key not in _told:
        _told.add(key)
        with suppress(Exception):  # as above
            _logger.warning(message, *args)
