"""Why the demonstration ended before its end."""

from __future__ import annotations


class DemoError(Exception):
    """What a user is told, with the mend; ``code`` is the exit code of a command that shows it."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
