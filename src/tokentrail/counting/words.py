"""An encoder in Python, which can be made without holding up any other thread.

tiktoken's own takes its ranks in one call that keeps the GIL for 70 to 200 ms. This one splits text
into words, looks them up in the ranks and merges the bytes of those that are not there, a tenth of
them in prose. The tokens are the same, in three to five times the time for English and code, and in
twenty times for Chinese and Russian.
"""

from __future__ import annotations

import re
import time
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from tiktoken import Encoding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CLASSES = {
    "Z": r"[\p{Lu}\p{Lt}]+",
    "z": r"\p{Ll}+",
    "ª": r"[\p{Lm}\p{Lo}]+",
    "\u0301": r"\p{M}+",
    "0": r"\p{N}+",
    "\t": r"\s+",
}
"""Characters that stand for all of a class beyond ASCII; # stands for what is in none of them."""
_ASCII: dict[int, str] = {code: chr(code) for code in range(128)} | {0x17F: "s"}
"""Characters that stand for themselves, and the long s, which stands in contractions as s does."""
PATTERNS = {
    "cl100k_base": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\nA-Za-zª0-9]?[A-Za-zª]+|[0-9]{1,3}"
        r"| ?[^\sA-Za-zª0-9]+[\r\n]*|\s+\Z|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    "o200k_base": (
        "[^\\r\\nA-Za-zª0-9]?[A-Zª\u0301]*[a-zª\u0301]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        "|[^\\r\\nA-Za-zª0-9]?[A-Zª\u0301]+[a-zª\u0301]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[0-9]{1,3}| ?[^\sA-Za-zª0-9]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}
"""How the encodings split text, in which such characters stand for all others beyond ASCII."""
_KNOWN = 16 * 1024
"""Characters beyond ASCII that are remembered with their class: 2 MB at most."""
_TABLES = 4
"""Dicts that share the ranks, by length: one of 200,000 takes 6 ms to grow, in which no other
thread runs; one of these takes 1.5 ms."""
_LONG = 4096
"""Bytes of a word above which it is merged with pauses. Only the worker has such."""
_PAUSE = 0.0001


class WordEncoder:
    """Encodes text as tiktoken does, from the ranks alone.

    What a character is, a letter or a mark, is asked of tiktoken: releases differ in their version
    of Unicode.
    """

    inline_weight = 1024
    """The weight that may be encoded on the application's thread: 0.2 ms, at its worst 2 ms."""

    def __init__(self, name: str, ranks: Iterable[tuple[bytes, int]]) -> None:
        """``ranks``: all tokens of the encoding ``name`` with their numbers."""
        tokens = {bytes([byte]): byte for byte in range(256)}
        self._classes = [
            (stand_in, Encoding("class", pat_str=a, mergeable_ranks=tokens, special_tokens={}))
            for stand_in, a in _CLASSES.items()
        ]
        self._stand_ins = _ASCII
        self._split = re.compile(PATTERNS[name], re.ASCII).findall
        self._tables: list[dict[bytes, int]] = [{} for _ in range(_TABLES)]
        for token, rank in ranks:
            self._tables[len(token) % _TABLES][token] = rank

    def encode_ordinary(self, text: str) -> list[int]:
        """Return the tokens of ``text``, in which special tokens are text like any other."""
        tokens: list[int] = []
        tables = self._tables
        for word in self._split(text) if text.isascii() else self._words(text):
            token = word.encode()
            rank = tables[len(token) % _TABLES].get(token)
            if rank is None:
                tokens += self._merge(token)
            else:
                tokens.append(rank)
        return tokens

    def _words(self, text: str) -> Iterator[str]:
        """Split text that is not all ASCII. Halves of surrogate pairs become one, or U+FFFD."""
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        stand_ins, at = self._learn(text), 0
        for word in self._split(text.translate(stand_ins)):
            end = at + len(word)
            yield text[at:end]
            at = end

    def _learn(self, text: str) -> dict[int, str]:
        """Return what stands for the characters of ``text``; those that are new are asked for."""
        known = self._stand_ins if len(self._stand_ins) < _KNOWN else _ASCII
        new = "".join(one for one in set(text) if ord(one) not in known)
        if new:
            known = known | dict.fromkeys(map(ord, new), "#")
            for stand_in, encoding in self._classes:
                found = bytes(encoding.encode_ordinary(new)).decode()
                known.update(dict.fromkeys(map(ord, found), stand_in))
            self._stand_ins = known
        return known

    def _rank(self, token: bytes) -> int | None:
        return self._tables[len(token) % _TABLES].get(token)

    def _merge(self, word: bytes) -> list[int]:
        """Merge the pair of the lowest rank, the first of several, until there is none left.

        A part is known by where it begins. The heap has the rank and the place of each pair, as one
        number, and also those that are gone by now.
        """
        size, rank_of, rank_of_two = len(word), self._rank, self._tables[2].get
        ends = list(range(1, size + 1))
        before = list(range(-1, size))
        pairs = [rank_of_two(word[at : at + 2]) for at in range(size - 1)]
        pairs.append(None)
        heap = [rank * size + at for at, rank in enumerate(pairs) if rank is not None]
        heapify(heap)
        while heap:
            rank, at = divmod(heappop(heap), size)
            if size > _LONG and not len(heap) % 256:
                time.sleep(_PAUSE)
            if pairs[at] != rank:
                continue
            second = ends[at]
            end = ends[at] = ends[second]
            pairs[at] = pairs[second] = None
            changed = []
            if end < size:
                before[end] = at
                changed.append((at, ends[end]))
            if at:
                changed.append((before[at], end))
            for begin, stop in changed:
                merged = pairs[begin] = rank_of(word[begin:stop])
                if merged is not None:
                    heappush(heap, merged * size + begin)
        return [self._tables[(end - at) % _TABLES][word[at:end]] for at, end in _parts(ends)]


def _parts(ends: list[int]) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(ends):
        yield at, ends[at]
        at = ends[at]
