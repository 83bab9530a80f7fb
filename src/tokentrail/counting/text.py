"""Text: its length in tokens, in slices that give the same number as the whole.

Both encodings first split text into words by a pattern and then encode each word by itself. So a
text may be cut at a place where one word ends and the next begins, whatever the text around it.
Such a *safe cut* is, for both patterns:

- before a U+0020 that follows a character which is not whitespace: a word has a space only at its
start, and a word of whitespace alone ends before the last such character;
- after a letter or number, before one of `_AFTER_WORD`: a word of letters or digits ends there,
  and no pattern looks behind. Excluded are apostrophes (they start contractions) and everything
  that may be a letter, a mark or half of a surrogate pair in a newer Unicode;
- between an ASCII letter and an ASCII digit, either way round: no word holds both. (Used only if
there is no other: hexadecimal text.)
"""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING

from tokentrail.counting.encodings import is_panic
from tokentrail.support import guard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.counting.encodings import Encoder

INLINE = 4096
"""The weight that tiktoken may encode on the application's thread: under 1 ms at its worst."""


def longest_run(version: str | None) -> int:
    """Return how long a run without a safe cut this release of tiktoken can encode in one go.

    1,000,000 spaces make it panic. Before 0.13 the time is quadratic: 2,048 emoji take 40 ms,
    65,536 half a minute.
    """
    release = tuple(int(part) for part in (version or "0.0").split(".")[:2] if part.isdecimal())
    return 64 * 1024 if release >= (0, 13) else 2 * 1024


def _installed() -> str | None:
    try:
        return metadata.version("tiktoken")
    except metadata.PackageNotFoundError:  # no package metadata, as in a frozen program
        return None


RUN = longest_run(_installed())
"""Characters without a safe cut that are still encoded at once."""

_SCAN = 8 * 1024
"""Characters searched for a safe cut at once."""

_AFTER_WORD = (
    r""" \t\r\n!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~"""
    r"\u3001\u3002\u300a-\u300d\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f"
)
"""ASCII without the apostrophe, and the most common Chinese and Japanese punctuation."""
_CUT = re.compile(rf"[{_AFTER_WORD}](?:(?<=[^\W_][{_AFTER_WORD}])|(?<=\S ))")
"""Matches the character after a safe cut. It starts with a set, which `re` searches fastest."""
_CODE_CUT = re.compile("[0-9](?<=[A-Za-z][0-9])|[A-Za-z](?<=[0-9][A-Za-z])")


def weight(text: str) -> int:
    """Return the cost of encoding the text, in O(1): its characters, twice that beyond ASCII.

    A weight of 4096 takes up to 0.8 ms (spaces, one letter repeated, random emoji), typically
    0.2 ms.
    """
    return len(text) if text.isascii() else 2 * len(text)


def inline_weight(encoder: Encoder | None) -> int:
    """Return the weight that ``encoder`` may encode on the application's thread."""
    most: int = getattr(encoder, "inline_weight", INLINE)
    return most


def estimate(text: str) -> int:
    """Guess the number of tokens by length: a quarter of the UTF-8 bytes, rounded up.

    Right within a tenth or so for English prose, a quarter too low for Chinese.
    """
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-size // 4)


def encode_length(encoding: Encoder, text: str) -> int | None:
    """Return the number of tokens, with special tokens read as text; None if encoding fails.

    Adjacent halves of a surrogate pair are merged, others count as U+FFFD.
    """
    try:
        return len(encoding.encode_ordinary(text))
    except TimeoutError:  # the deadline is over
        return None
    except BaseException as error:
        if isinstance(error, Exception):
            guard.internal_error("encoding", error)
        elif not is_panic(error):
            raise
        return None


def next_safe_cut(text: str, start: int, end: int) -> int | None:
    """Return the first safe cut found from ``start`` up to ``end``, None if there is none."""
    for pattern in (_CUT, _CODE_CUT):
        match = pattern.search(text, max(start, 1), end + 1)
        if match:
            return match.start()
    return None


def last_safe_cut(text: str, start: int, end: int) -> int | None:
    """Return a safe cut after ``start``, not after ``end``, near the last; None if there is none.

    The text is searched backwards in growing windows, prose by its last space alone.
    """
    space = text.rfind(" ", max(start + 1, end - 64), end + 1)
    if space > 0 and not text[space - 1].isspace():
        return space
    width = 128
    while True:
        low = max(start, end - width)
        cut = _last_match(_CUT, text, low + 1, end + 1)
        if low == start and cut is None:
            return _last_match(_CODE_CUT, text, low + 1, end + 1)
        if cut is not None:
            return cut
        width *= 8


def _last_match(pattern: re.Pattern[str], text: str, start: int, end: int) -> int | None:
    cut = None
    for match in pattern.finditer(text, start, end):
        cut = match.start()
    return cut


def slices(text: str, most: int = INLINE) -> Iterator[tuple[str, bool]]:
    """Yield the text in slices that are encoded by themselves, and whether each ends safely.

    A slice weighs at most ``most``, unless a run without a safe cut is longer. A run of more than
    RUN characters is cut anywhere: then the sum is not exact. Empty slices only let the caller
    yield.
    """
    limit = most if text.isascii() else most // 2
    start = 0
    while len(text) - start > limit:
        cut = last_safe_cut(text, start, start + limit)
        scanned = start + limit
        while cut is None and scanned < min(start + RUN, len(text)):
            yield "", True
            cut = next_safe_cut(text, scanned + 1, min(scanned + _SCAN, start + RUN))
            scanned += _SCAN
        if cut is None and len(text) - start > RUN:
            cut = start + RUN
            for at in range(start, cut, limit):
                yield text[at : min(at + limit, cut)], False
        elif cut is None:
            break
        else:
            yield text[start:cut], True
        start = cut
    yield text[start:], True


class Sum:
    """A number of tokens that grows, and whether it is exact: at first an exact zero."""

    tokens = 0
    exact = True

    def take(self, encoding: Encoder | None, text: str) -> None:
        """Add the tokens of a text at once; an estimate if it cannot be encoded."""
        length = None if encoding is None else encode_length(encoding, text)
        if length is None:
            length = estimate(text)
            self.exact = False
        self.tokens += length

    def steps(self, encoding: Encoder | None, text: str) -> Iterator[None]:
        """Add the tokens of a text slice by slice, with a yield after each; an estimate at once."""
        if encoding is None:
            self.take(None, text)
            return
        for piece, safe in slices(text, inline_weight(encoding)):
            if piece:
                self.take(encoding, piece)
            self.exact = self.exact and safe
            yield
