"""The output of a call, counted while it arrives.

Every part of an answer is a text of its own, counted block by block, so that the count is that of
the whole however it was chunked, at the price of a list append per chunk. What is not yet counted
is bounded: `HELD` bytes of Python memory per call, whatever arrives; more (`HELD_OF_LARGE`) only
where single chunks are large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokentrail.counting.stream_text import BURST, StreamText
from tokentrail.counting.text import INLINE, Sum, weight
from tokentrail.model.text_buffer import MOST_WAITING, TextBuffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokentrail.counting.text import Encoder

SMALL_BLOCK = 64
"""Characters worth a cut where memory for uncounted text has run out, or somebody asks."""

ROOM = 1024
"""Characters of all texts of a call (and PIECE for every piece) between two gatherings."""

PIECE = 22
"""What a piece costs of the room besides its characters: a str object takes 50 bytes or more."""

HELD = 59 * 1024
"""Bytes of gathered text held for a call. With the room (4 bytes a character) under 64 KB."""

LEFT_IN = 2
"""Parts whose pieces may be left in their buffers: up to 18 KB, where all is emoji. So where half
of HELD is held, the buffers are closed, and each piece is added."""

LARGE = BURST * INLINE
"""Characters of a chunk that is too large to be counted when it comes."""

HELD_OF_LARGE = 1024 * 1024
"""Bytes of gathered text held for a call with such chunks, so that they need not be estimated."""

KEYS = 128
"""Texts told apart in one call. All others are counted as one text, by then no longer exact."""

RELIEF = 4
"""Slices of up to INLINE encoded at once to make room; what is still too much is estimated."""

SINGLE_CALL = 7
PARALLEL_CALLS = 12
PARALLEL_CALL = 8
"""What tool calls in an answer are billed beyond the tokens of their names and arguments.

One call: 7, exact in 5 of 6 recordings of gpt-4o, gpt-4o-mini and gpt-4.1-mini. Several: 12 and 8
for each, a guess and told as one: the model writes them as one JSON object for a hidden function.
It fits the recording at hand (two calls, 51 tokens), and the sixth of the above (35), which was
written in that form though alone; nothing in the answer's structure tells.
"""

TEXT_BESIDE_TOOLS = 1
"""What a text is billed beyond its tokens where tools were declared and none was called (8 of 8
recordings of gpt-4o, gpt-4o-mini, gpt-4.1 and gpt-4.1-mini, in both APIs)."""

STRUCTURED = 4
"""What a text is billed beyond its tokens where a schema was asked for (3 of 3 recordings)."""

_OVERFLOW = ("", -1, -1)


@dataclass(frozen=True, slots=True)
class Surcharges:
    """What the request says of the billing beside the tokens of what is generated."""

    per_answer: int = 0
    """Billed beside the text of an answer: 1 in the Responses API (4 of 4 recordings)."""
    named_tool: bool = False
    """It left no choice of the tool, whose name is then not billed (2 of 2 recordings)."""
    tools: bool = False
    """Some were declared."""
    structured: bool = False
    """A schema was asked for."""


class OutputTally:
    """Counts what a model generated: the TextSink of one call.

    ``add`` belongs to the application's thread; once it is called no more, ``steps`` may finish
    the count on any other. Then ``tokens`` and ``exact`` are final.
    """

    __slots__ = (
        "_ask",
        "_bound",
        "_crowded",
        "_encoding",
        "_left_in",
        "_room",
        "_streams",
        "_sum",
        "saw_summary",
        "surcharges",
    )

    def __init__(self, surcharges: Surcharges | None = None) -> None:
        """Count nothing yet."""
        self._streams: dict[tuple[str, int, int], StreamText] = {}
        self._ask: Callable[[int], Encoder | None] | None = None
        self._encoding: Encoder | None = None
        self._left_in: set[tuple[str, int, int]] = set()
        self._crowded = False
        self._room = ROOM
        self._bound = HELD
        self._sum: Sum | None = None
        self.surcharges = surcharges or Surcharges()
        """May be set until somebody asks for the count: a request may be read later than made."""
        self.saw_summary = False
        """A summary of hidden thought was shown: more was billed than can be counted."""

    def add(self, kind: str, choice: int, item: int, text: object) -> None:
        """Take the next piece of one part of the answer: see TextSink. Anything but str is left."""
        if not isinstance(text, str):
            return
        try:
            stream = self._streams[kind, choice, item]
        except (KeyError, TypeError):
            if kind == "summary":
                self.saw_summary = True
                return
            stream = self._open(kind, choice, item)
        stream.buffer.append(text)
        room = self._room = self._room - len(text) - PIECE
        if room < 0 or len(stream.buffer) > MOST_WAITING:
            self._gather()

    def append_buffer(self, kind: str, choice: int, item: int) -> TextBuffer | None:
        """Return the buffer in which small next pieces of a part may be left: see TextSink."""
        key = (kind, choice, item)
        stream = self._streams.get(key)
        if stream is None or self._crowded:
            return None
        if key not in self._left_in and len(self._left_in) >= LEFT_IN:
            return None
        self._left_in.add(key)
        return stream.buffer

    def use(self, encoding: Encoder | None) -> None:
        """Count with this encoding from now on."""
        self._encoding = encoding

    def ask(self, find: Callable[[int], Encoder | None]) -> None:
        """Ask ``find`` for the encoding when there is something to count and none is set.

        It is told how many bytes of text are held until then.
        """
        self._ask = find

    @property
    def untouched(self) -> bool:
        """Nothing was ever added."""
        return not self._streams and not self.saw_summary

    @property
    def held(self) -> int:
        """The weight of the text that is not counted yet."""
        self._gather()
        return sum(weight(text) for stream in self._billed() for text in stream.uncounted())

    @property
    def tokens(self) -> int:
        """Tokens counted so far; once ``steps`` is through, all."""
        if self._sum is not None:
            return self._sum.tokens
        return self._extra() + sum(stream.sum.tokens for stream in self._billed())

    @property
    def exact(self) -> bool:
        """Every token of ``tokens`` was counted by a rule that is not a guess, none estimated."""
        if self._sum is not None:
            return self._sum.exact
        exact = all(stream.sum.exact for stream in self._billed())
        single = all(len(items) == 1 for items in self._calls().values())
        return exact and single and _OVERFLOW not in self._streams

    def now(self, encoding: Encoder | None) -> tuple[int, bool]:
        """Return tokens and exactness as if the answer ended here; it may go on.

        Counts on from where it was last asked, so that asking for every chunk costs some 10 us.
        Text that is too heavy to be counted at once is estimated.
        """
        self._encoding = encoding or self._encoding
        self._gather()
        total, room = Sum(), BURST * INLINE
        for stream in self._billed():
            if self._encoding is not None:
                stream.settle(self._encoding, SMALL_BLOCK)
                room = stream.lighten(self._encoding, room)
            for text in stream.uncounted():
                light = weight(text) <= room
                room -= weight(text) if light else 0
                total.take(self._encoding if light else None, text)
        return self.tokens + total.tokens, self.exact and total.exact

    def steps(self, encoding: Encoder | None) -> Iterator[None]:
        """Count the rest, with a yield after each slice of under 1 ms; then release all text.

        Without an encoding the rest is estimated. A single run without a safe cut, up to 64 KB,
        is one slice: 17 ms at its worst, while tiktoken leaves the GIL to others.
        """
        self._ask = None
        for stream in list(self._billed()):
            yield from stream.steps(encoding)
        final = Sum()
        final.tokens, final.exact = self.tokens, self.exact
        self._sum = final

    def _open(self, kind: str, choice: object, item: object) -> StreamText:
        key = _OVERFLOW
        if len(self._streams) < KEYS and isinstance(choice, int) and isinstance(item, int):
            key = (kind, choice, item)
        return self._streams.setdefault(key, StreamText())

    def _gather(self) -> None:
        if self._room < -LARGE:
            self._bound = HELD_OF_LARGE
        self._room = ROOM
        if self._encoding is None and self._ask is not None:
            self._encoding = self._ask(self._held())
        for stream in self._streams.values():
            stream.gather(self._encoding)
        held = self._held()
        self._crowded = held > HELD // 2
        if self._crowded and self._left_in:
            self._close()
        if held > self._bound:
            self._relieve()

    def _close(self) -> None:
        """Have nothing left in any buffer until somebody asks for one anew."""
        for key in self._left_in:
            stream = self._streams[key]
            closed, stream.buffer = stream.buffer, TextBuffer()
            closed.close()
        self._left_in.clear()

    def _held(self) -> int:
        return sum(map(StreamText.held, self._streams.values()))

    def _relieve(self) -> None:
        """Bring the text held down to its bound, without stalling the application.

        What safe cuts there are come first, then slices cut anywhere, then estimates.
        """
        held = self._held()
        for stream in sorted(self._streams.values(), key=StreamText.held, reverse=True):
            if held > self._bound and self._encoding is not None:
                held -= stream.held()
                stream.settle(self._encoding, SMALL_BLOCK)
                held += stream.held()
        attempt = 0
        while held > self._bound:
            largest = max(self._streams.values(), key=StreamText.held)
            held -= largest.held()
            if attempt < RELIEF:
                largest.relieve(self._encoding)
            else:
                largest.surrender()
            held += largest.held()
            attempt += 1

    def _billed(self) -> Iterator[StreamText]:
        """Yield the texts whose tokens are billed."""
        for (kind, _, _), stream in self._streams.items():
            if kind != "tool_name" or not self.surcharges.named_tool:
                yield stream

    def _calls(self) -> dict[int, set[int]]:
        """Return the tool calls of each choice that has some."""
        calls: dict[int, set[int]] = {}
        for kind, choice, item in self._streams:
            if kind in {"tool_name", "tool_arguments"}:
                calls.setdefault(choice, set()).add(item)
        return calls

    def _extra(self) -> int:
        """Return what is billed beside the text of the parts: see the constants above."""
        asked, calls = self.surcharges, self._calls()
        choices = {choice for _, choice, _ in self._streams}
        per_text = TEXT_BESIDE_TOOLS * asked.tools + STRUCTURED * asked.structured
        extra = asked.per_answer * len(choices) + per_text * len(choices - calls.keys())
        for items in calls.values():
            if len(items) > 1:
                extra += PARALLEL_CALLS + PARALLEL_CALL * len(items)
            elif not asked.named_tool:
                extra += SINGLE_CALL
        return extra
