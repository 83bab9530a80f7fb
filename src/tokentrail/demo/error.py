"""Why the demonstration ended before its end."""

from __future__ import annotations


class DemoError(Exception):
    """A message for the user that says how to fix it; ``code`` is the exit code of the command."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
