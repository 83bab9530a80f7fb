"""Finds what each piece of a text adds, if a server repeats in each piece the whole text so far."""

from __future__ import annotations

from typing import Final

SURE: Final = 16
"""Characters that a single later piece repeats, from which on they are not taken for new text."""


class Increments:
    """The pieces of one text, in order.

    A piece repeats the text if it begins with the whole piece before it and is longer. Pieces of
    an ordinary text nearly never do, so they need one comparison for the first pair, and none
    later. Only the last piece is kept. Two such steps in a row are no chance; after a single one,
    the next piece may show that it was.
    """

    __slots__ = ("_last", "_omitted", "_steps", "is_broken")

    def __init__(self) -> None:
        self._last: str | None = ""
        """The piece before; ``None`` once the pieces are those of an ordinary text."""
        self._omitted = ""
        """What the first step left out."""
        self._steps = 0
        self.is_broken = False
        """Whether a piece did not continue a text that was repeated before."""

    @property
    def is_ordinary(self) -> bool:
        """Whether each further piece is all new."""
        return self._last is None

    @property
    def is_unclear(self) -> bool:
        """Whether it is unclear which part of the pieces is new."""
        return self.is_broken or (self._steps == 1 and len(self._omitted) < SURE)

    def added_by(self, piece: str) -> str:
        """Return what a piece adds to the text."""
        last = self._last
        if not last or not piece:
            self._last = piece if last is not None else None
            return piece
        if piece.startswith(last) and (self._steps or len(piece) > len(last)):
            if len(piece) > len(last):
                self._steps += 1
            self._omitted = self._omitted or last
            self._last = piece
            return piece[len(last) :]
        self._last = None
        self.is_broken = self._steps > 1
        return piece

    def missing(self) -> str:
        """Return, once, what was left out of the start of a text that is ordinary after all."""
        if not self.is_ordinary or self._steps != 1:
            return ""
        self._steps = 0
        return self._omitted

    def release(self) -> None:
        """Release the text that is kept, after the last piece."""
        self._last = None
        if len(self._omitted) >= SURE:
            self._omitted = ""
            self._steps = 0


class Pieces(list[str]):
    """The pieces of one text, of which each has only what it adds."""

    __slots__ = ("_increments",)

    def __init__(self) -> None:
        super().__init__()
        self._increments = Increments()

    def grow(self, piece: str) -> int:
        """Take the next piece; return by how many characters the text grew."""
        if self._increments.is_ordinary:
            self.append(piece)
            return len(piece)
        added = self._increments.added_by(piece)
        missing = self._increments.missing()
        self.insert(0, missing)
        self.append(added)
        return len(missing) + len(added)
