"""Errors of our own code stay in our own code.

Each step of ours at an edge of the application runs under a :class:`shield`, and its errors end
here: one log record per place, and a counter. The log names the type of the error and its place in
our code, never its text, which could quote a prompt. Under tests (``TOKENTRAIL_STRICT=1``) the
error is raised instead.
"""

from __future__ import annotations

import logging
import os
import threading
import traceback
from contextlib import suppress
from inspect import CO_VARARGS
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tokentrail.support.threads import is_own_thread

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_logger = logging.getLogger("tokentrail")
_logged: set[str] = set()

strict: bool = os.environ.get("TOKENTRAIL_STRICT") == "1"
"""Raise our own errors instead of swallowing them."""

swallowed: int = 0
"""Number of our own errors that were kept from the application in this process."""


class shield:  # noqa: N801 - reads as the statement it makes: with guard.shield("answer")
    """Stops our own errors at the end of the block; the application's code continues after it.

    An interrupt passes, for it is the application's, unless the thread is ours; so does what a
    signal handler raised while our code ran. What would end the program (exits, panics) does not
    pass if a function of the user's, a processor or an exporter raised it.
    """

    __slots__ = ("_place",)

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> bool:
        """Swallow an error of ours, or let it pass if :data:`strict` is set."""
        return error is not None and self.takes(error)

    def takes(self, error: BaseException) -> bool:
        """Note ``error`` and return true, unless it is to be raised.

        For an ``except`` in the path of every call, where a ``with`` would enter two functions.
        """
        if not (_is_ours(error) or _would_end_program(error)):
            return False
        _note(self._place, error)
        return not strict


def _would_end_program(error: BaseException) -> bool:
    """Whether it is a panic, or an exit that code which ours called raised.

    An exit in our own lines was put there from outside, by who wants this thread to end.
    """
    if type(error).__name__ == "PanicException":  # of a module written in Rust
        return True
    if not isinstance(error, SystemExit) or _came_by_signal(error):
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return not frame.f_globals.get("__name__", "").startswith("tokentrail.")


def internal_error(place: str, error: BaseException) -> None:
    """Count ``error`` and log it once for ``place``; raise it if :data:`strict` is set.

    For the path of a chunk, on which a :class:`shield` takes too long, and for threads of ours.
    Errors that belong to the application are raised, see :class:`shield`.
    """
    if not _is_ours(error):
        raise error
    _note(place, error)
    if strict:
        raise error


def _is_ours(error: BaseException) -> bool:
    """Whether ``error`` is ours alone."""
    if isinstance(error, GeneratorExit):
        return False
    if is_own_thread():
        return True
    return isinstance(error, Exception) and not _came_by_signal(error)


def _came_by_signal(error: BaseException) -> bool:
    """Whether a signal handler raised ``error``, as a task's soft time limit does."""
    if threading.current_thread() is not threading.main_thread():
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(_is_handler(frame, before) for before, frame in pairwise(frames))


def _is_handler(frame: FrameType, before: FrameType) -> bool:
    """Whether ``frame`` is of a function that has, as handlers do, the interrupted frame.

    The handler that is registered may be another by now: some put back the one of before.
    """
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & CO_VARARGS)
    given = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
    several = [each for value in given if type(value) is tuple for each in value]
    return any(value is before for value in (*given, *several))


def _note(place: str, error: BaseException) -> None:
    global swallowed
    swallowed += 1
    if strict or place in _logged:
        return
    _logged.add(place)
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    path = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    with suppress(Exception):  # a log handler of the application may raise
        _logger.error(
            "tokentrail failed at %s (%s at %s). Your call is not affected, but its telemetry may "
            "be incomplete. Please report this line. Logged once for this place.",
            place,
            type(error).__name__,
            path,
        )


def warn_once(key: str, message: str, *args: object) -> None:
    """Log a warning once per process for ``key``."""
    if key not in _logged:
        _logged.add(key)
        with suppress(Exception):  # as above
            _logger.warning(message, *args)


def inform_once(key: str, message: str, *args: object) -> None:
    """Log an information once per process for ``key``."""
    if key not in _logged:
        _logged.add(key)
        with suppress(Exception):  # as above
            _logger.info(message, *args)
