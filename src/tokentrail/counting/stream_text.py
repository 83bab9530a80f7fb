"""One text that arrives in pieces: gathered, cut at safe cuts and encoded block by block."""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING

from tokentrail.counting.text import INLINE, RUN, Sum, last_safe_cut, next_safe_cut, weight
from tokentrail.model.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.counting.text import Encoder

BLOCK = 2048
"""Characters of one text that are gathered before a cut is looked for."""

BURST = 4
"""Slices of up to INLINE counted at once. The rest of a large chunk stays in the tail: for the next
time, or for the worker at the end."""


class StreamText:
    """One text that arrives in pieces; its count is that of the whole text."""

    __slots__ = ("buffer", "scanned", "sum", "tail", "waiting", "whole")

    def __init__(self) -> None:
        """Start empty."""
        self.buffer = TextBuffer()
        """Pieces since the last gathering."""
        self.whole: str | None = None
        """The only piece so far, if it is large: the application's own string, not a copy."""
        self.tail = ""
        self.scanned = 0
        """Where the search for a safe cut in the tail continues."""
        self.waiting: list[str] = []
        """Texts between safe cuts that are too heavy for the application's thread."""
        self.sum = Sum()

    def gather(self, encoding: Encoder | None) -> None:
        """Join the pieces and count what can be counted at once, block by block."""
        if self.buffer:
            self._join()
        if encoding is not None and len(self.tail) >= BLOCK:
            self.settle(encoding, BLOCK)

    def settle(self, encoding: Encoder, block: int) -> None:
        """Count the tail up to its last safe cut, or keep it for later, block by block.

        Of a tail of more than BURST slices, a rest stays.
        """
        tail, start, scanned = self.tail, 0, self.scanned
        limit = INLINE if tail.isascii() else INLINE // 2
        end = len(tail) - 1
        while end - start >= block and start < BURST * limit:
            reach = min(start + limit, end)
            cut = last_safe_cut(tail, max(start, scanned), reach)
            if cut is None:
                scanned, reach = max(reach, scanned), min(max(reach, scanned) + RUN, end)
                cut = next_safe_cut(tail, scanned + 1, reach)
            if cut is None:
                scanned = reach
                break
            if cut - start <= limit:
                self.sum.take(encoding, tail[start:cut])
            else:
                self.waiting.append(tail[start:cut])
            start = scanned = cut
        self.tail = tail[start:]
        self.scanned = max(0, scanned - start)

    def uncounted(self) -> Iterator[str]:
        """Yield all text that waits to be counted, in order. Call gather first."""
        yield from self.waiting
        if self.whole is not None:
            yield self.whole
        if self.tail:
            yield self.tail

    def held(self) -> int:
        """Return the bytes of Python memory that gathered text takes. Call gather first."""
        tail = getsizeof(self.tail) if self.tail else 0
        return tail + sum(map(getsizeof, self.waiting))

    def lighten(self, encoding: Encoder, room: int) -> int:
        """Count texts kept for later up to this weight; return the weight that is left."""
        while self.waiting and weight(self.waiting[0]) <= room:
            room -= weight(self.waiting[0])
            self.sum.take(encoding, self.waiting.pop(0))
        return room

    def relieve(self, encoding: Encoder | None) -> None:
        """Count a slice cut inside a word, to hold less text: the count is no longer exact."""
        text = self.waiting.pop(0) if self.waiting else self._take_tail()
        self.sum.exact = False
        if encoding is None:
            self.sum.take(None, text)
            return
        cut = INLINE if text.isascii() else INLINE // 2
        self.sum.take(encoding, text[:cut])
        self.waiting[:0] = [text[cut:]] if text[cut:] else []

    def surrender(self) -> None:
        """Estimate all text that is held, and release it: the count is no longer exact."""
        for text in (*self.waiting, self._take_tail()):
            self.sum.take(None, text)
        self.waiting.clear()

    def steps(self, encoding: Encoder | None) -> Iterator[None]:
        """Count the rest slice by slice and release it."""
        self.gather(None)
        for text in self.uncounted():
            yield from self.sum.steps(encoding, text)
        self.release()

    def release(self) -> None:
        """Release all text; the count stays."""
        self.waiting.clear()
        self.buffer.clear()
        self.whole = None
        self._take_tail()

    def _join(self) -> None:
        pieces = self.buffer.take()
        first = not (self.tail or self.waiting or self.sum.tokens or self.whole is not None)
        if first and len(pieces) == 1 and len(pieces[0]) > BLOCK:
            self.whole = pieces[0]
            return
        self.tail = "".join((self.whole or "", self.tail, *pieces))
        self.whole = None

    def _take_tail(self) -> str:
        tail, self.tail, self.scanned = self.tail, "", 0
        return tail
