"""Coroutines of ours that replace the client's, under the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Pending:
    """Holds a coroutine of the client until ours is awaited.

    If it never is, Python warns once, under the original's name.
    """

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self.coroutine = coroutine

    def __del__(self) -> None:
        coroutine = getattr(self, "coroutine", None)
        if coroutine is not None:  # else its __init__ has failed
            coroutine.close()


def named_as(original: Any, ours: Any) -> Any:
    """Return our coroutine under the name of the original."""
    ours.__name__, ours.__qualname__ = original.__name__, original.__qualname__
    return ours
