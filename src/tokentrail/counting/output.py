"""The output of a call, counted while it arrives.

Every part of an answer is a text of its own, counted block by block. So the count does not depend
on the chunks, and a chunk costs one list append. Text that waits to be counted takes at most `HELD`
bytes of Python memory per call, and up to `HELD_OF_LARGE` only if single chunks are large.

A long module, since the limits of what is held are those of the texts and of their tally together.
"""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING

from tokentrail.counting.text import (
    RUN,
    Sum,
    inline_weight,
    last_safe_cut,
    next_safe_cut,
    weight,
)
from tokentrail.counting.turns import is_spaced, minified, wrapped_calls
from tokentrail.model.records import MOST_WAITING
from tokentrail.support.increments import Increments

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tokentrail.counting import rules
    from tokentrail.counting import surcharges as billing
    from tokentrail.counting.encodings import Encoder
    from tokentrail.counting.rules import Part
    from tokentrail.counting.surcharges import Answer, Surcharges
else:
    from tokentrail.support.lazy import LateModule

    rules = LateModule("counting.rules")
    billing = LateModule("counting.surcharges")

BLOCK = 2048
"""Characters of one text that are gathered before a cut is looked for."""

BURST = 4
"""Slices counted at once, each of what an encoder may count inline. The rest of a large chunk stays
in the tail: for the next time, or for the worker at the end."""

SMALL_BLOCK = 64
"""Characters worth a cut when memory for uncounted text runs out, or when a count is asked for."""

ROOM = 1024
"""Characters of all texts of a call (and PIECE for every piece) between two gatherings."""

PIECE = 22
"""What a piece takes of that limit besides its characters: a str object takes 50 bytes or more."""

HELD = 59 * 1024
"""Bytes of gathered text held for a call; with text not yet gathered (4 bytes a character) 64
KB."""

LEFT_IN = 2
"""Parts with a shared buffer for their pieces: up to 18 KB, if all is emoji. So once half of HELD
is held, the buffers are closed and each piece is added by a call."""

HELD_OF_LARGE = 1024 * 1024
"""Bytes of gathered text held for a call with chunks of more than BURST slices, which are not
counted when they arrive, so that none has to be estimated."""

KEYS = 128
"""Separate texts of one call. All others are counted as one text, and the count is not exact."""

RELIEF = 4
"""Such slices encoded at once to make room; what is still too long is estimated."""

_OVERFLOW = ("", -1, -1)
_MARKS = {"custom_call": "ANSWER_CUSTOM", "unknown": "ANSWER_NOT_READ"}
"""Kinds without text: readers report by them what an answer contains."""


class TextBuffer(list[str]):
    """Pieces of one part of an answer that wait, shared by the reader of chunks and the counter.

    A chunk of a stream mostly is one small piece of text more. Who reads it leaves the piece here,
    ``len(buffer) < MOST_WAITING and len(piece) <= SMALL`` provided, in place of a call of
    :meth:`~tokentrail.model.records.TextSink.add`: 0.4 instead of 1.8 microseconds. What does not
    fit is added there, and then the buffer may be another. Who counts empties it by :meth:`take`,
    and closes it where too much is held.
    """

    __slots__ = ()

    def take(self) -> list[str]:
        """Return and remove what waits. Later pieces can be left here again."""
        pieces = self[:]
        del self[: len(pieces)]
        return pieces

    def close(self) -> None:
        """Mark the buffer as full, so that the reader adds further pieces itself."""
        self.extend([""] * MOST_WAITING)


class StreamText:
    """One text that arrives in pieces; its count is that of the whole text."""

    __slots__ = (
        "_before", "_increments", "buffer", "is_torn", "scanned", "sum", "tail", "waiting", "whole",
    )  # fmt: skip

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
        self._before: str | None = ""
        """The first piece, while it may be repeated; ``None`` once pieces repeat nothing."""
        self._increments: Increments | None = None
        """What pieces add, if the second repeats the first."""
        self.is_torn = False
        """Whether text was counted before text that belongs in front of it."""

    @property
    def is_unclear(self) -> bool:
        """Whether it is unclear which part of the pieces is new."""
        return self.is_torn or (self._increments is not None and self._increments.is_unclear)

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
        limit = inline_weight(encoding) // (1 if tail.isascii() else 2)
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
        cut = inline_weight(encoding) // (1 if text.isascii() else 2)
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
        self._before = None
        if self._increments is not None:
            self._increments.release()
        self._take_tail()

    def _join(self) -> None:
        pieces = self.buffer.take()
        if self._before is not None:
            pieces = self._new_text(pieces)
        first = not (self.tail or self.waiting or self.sum.tokens or self.whole is not None)
        if first and len(pieces) == 1 and len(pieces[0]) > BLOCK:
            self.whole = pieces[0]
            return
        self.tail = "".join((self.whole or "", self.tail, *pieces))
        self.whole = None

    def _new_text(self, pieces: list[str]) -> list[str]:
        """Return what pieces add, if they may repeat the text so far."""
        increments = self._increments
        if increments is None:
            first, *others = [piece for piece in (self._before, *pieces) if piece] or [""]
            if not (first and others and others[0].startswith(first)):
                self._before = None if others else first
                return pieces
            increments = self._increments = Increments()
            increments.added_by(self._before or "")
        new = [increments.added_by(piece) for piece in pieces]
        missing = increments.missing()
        self._before = None if increments.is_ordinary else ""
        if missing:
            self.is_torn = bool(self.waiting or self.sum.tokens)
            self.tail = missing + (self.whole or "") + self.tail
            self.whole = None
        return new

    def _take_tail(self) -> str:
        tail, self.tail, self.scanned = self.tail, "", 0
        return tail


class OutputTally:
    """Counts what a model generated: the TextSink of one call.

    ``add`` is for the application's thread; after its last call, ``steps`` may finish the count on
    any other thread. Then ``tokens`` and ``exact`` are final.
    """

    __slots__ = (
        "_ask",
        "_bound",
        "_crowded",
        "_encoding",
        "_joined",
        "_left_in",
        "_name",
        "_parts",
        "_room",
        "_streams",
        "_sum",
        "_surcharges",
        "saw_summary",
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
        self._parts: tuple[Part, ...] = ()
        self._name = Sum()
        self._joined: dict[int, Sum] = {}
        """Tokens of the calls of an answer, by its number, if they are counted as one."""
        self._surcharges = surcharges
        self.saw_summary = False
        """A summary of hidden reasoning was shown: more is billed than can be counted."""

    def add(self, kind: str, choice: int, item: int, text: object) -> None:
        """Take the next piece of one part of the answer, see TextSink. Ignore all but str."""
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
        """Return the buffer to which small next pieces of a part may be appended: see TextSink."""
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

        Its argument: how many bytes of text are held until then.
        """
        self._ask = find

    @property
    def surcharges(self) -> Surcharges:
        """What is billed besides the texts; at first, as of an answer of text alone.

        May be set until the count is first asked for: a request may be read after it was sent.
        """
        if self._surcharges is None:
            self._surcharges = billing.Surcharges()
        return self._surcharges

    @surcharges.setter
    def surcharges(self, surcharges: Surcharges) -> None:
        self._surcharges = surcharges

    @property
    def may_hide(self) -> bool:
        """Reasoning may have been billed that is not shown."""
        asked = self.surcharges
        return self.saw_summary or (asked.dialect.reasons and asked.thinks)

    @property
    def is_partial(self) -> bool:
        """The answer contains something that is not counted."""
        return self.saw_summary or bool(self._marks())

    @property
    def held(self) -> int:
        """Weight of the text that is not counted yet."""
        self._gather()
        return sum(weight(text) for stream in self._billed() for text in stream.uncounted())

    def surrender(self) -> None:
        """Estimate all text that waits, and release it, where no more comes. Takes no lock."""
        for stream in self._streams.values():
            for _ in stream.steps(None):
                pass

    def size(self) -> int:
        """Return about how many bytes the text takes that is not counted yet."""
        self._gather()
        whole = sum(getsizeof(stream.whole) for stream in self._streams.values())
        return self._held() + whole

    @property
    def tokens(self) -> int:
        """Tokens counted so far; all of them once ``steps`` is exhausted."""
        if self._sum is not None:
            return self._sum.tokens
        return sum(part.tokens for part in self.parts)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What the tokens so far are made of, by rule."""
        return self._parts if self._sum is not None else tuple(self._counted(self._answers()))

    @property
    def measured(self) -> bool:
        """No length so far was estimated."""
        if self._sum is not None:
            return self._sum.exact
        joined = all(counted.exact for counted in self._joined.values())
        texts = all(stream.sum.exact for stream in self._billed())
        return joined and texts and _OVERFLOW not in self._streams

    @property
    def exact(self) -> bool:
        """Every token of ``tokens`` was counted, by rules that are proven."""
        return self.measured and rules.all_proven(part.rule for part in self.parts)

    def now(self, encoding: Encoder | None) -> tuple[int, bool, bool]:
        """Return tokens, `exact` and `measured` as if the answer ended here; it may continue.

        Only text since the last call is counted, so asking for every chunk costs some 10 us.
        Text that is too heavy to be counted at once is estimated.
        """
        self._encoding = encoding or self._encoding
        self._gather()
        self._count_name(self._encoding)
        total, room = Sum(), BURST * inline_weight(self._encoding)
        for stream in self._billed():
            if self._encoding is not None:
                stream.settle(self._encoding, SMALL_BLOCK)
                room = stream.lighten(self._encoding, room)
            for text in stream.uncounted():
                light = weight(text) <= room
                room -= weight(text) if light else 0
                total.take(self._encoding if light else None, text)
        measured = self.measured and total.exact
        return self.tokens + total.tokens, self.exact and measured, measured

    def steps(self, encoding: Encoder | None) -> Iterator[None]:
        """Count the rest, with a yield after each slice of under 1 ms; then release all text.

        Without an encoding the rest is estimated. A single run without a safe cut, up to 64 KB,
        is one slice: 17 ms at its worst, while tiktoken leaves the GIL to others.
        """
        self._ask = None
        self._count_name(encoding)
        found = self._answers()
        for answer in found:
            yield from self._join_calls(answer, encoding)
        for stream in list(self._billed()):
            yield from stream.steps(encoding)
        parts, final = tuple(self._counted(found)), Sum()
        final.tokens, final.exact = sum(part.tokens for part in parts), self.measured
        self._sum, self._parts = final, parts
        for stream in self._streams.values():
            stream.release()

    def _open(self, kind: str, choice: object, item: object) -> StreamText:
        key = _OVERFLOW
        if len(self._streams) < KEYS and isinstance(choice, int) and isinstance(item, int):
            key = (kind, choice, item)
        stream = self._streams.setdefault(key, StreamText())
        if kind == "tool_name" and not stream.buffer:
            stream.buffer.append(billing.NAME_PREFIX)
        return stream

    def _gather(self) -> None:
        if self._encoding is None and self._ask is not None:
            self._encoding = self._ask(self._held())
        if self._room < -BURST * inline_weight(self._encoding):
            self._bound = HELD_OF_LARGE
        self._room = ROOM
        for stream in self._streams.values():
            stream.gather(self._encoding)
        held = self._held()
        self._crowded = held > HELD // 2
        if self._crowded and self._left_in:
            self._close()
        if held > self._bound:
            self._relieve()

    def _close(self) -> None:
        """Take the pieces out of all buffers and close them until they are asked for again."""
        for key in self._left_in:
            stream = self._streams[key]
            closed, stream.buffer = stream.buffer, TextBuffer()
            closed.close()
        self._left_in.clear()

    def _held(self) -> int:
        return sum(map(StreamText.held, self._streams.values()))

    def _relieve(self) -> None:
        """Reduce the text held to its limit, without stalling the application.

        First at safe cuts, then in slices cut anywhere, then by estimates.
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

    def _answers(self) -> list[Answer]:
        """Return what was generated, answer by answer."""
        return billing.answers(self._streams, of_responses=self.surcharges.of_responses)

    def _billed(self) -> Collection[StreamText]:
        """Return the texts whose tokens are billed, each by itself."""
        if not (self._joined or self.surcharges.names_tool):
            return self._streams.values()
        joined = {
            place
            for answer in self._answers()
            if answer.number in self._joined
            for place in answer.calls
        }
        named = "tool_name" if self.surcharges.names_tool else None
        return [
            stream
            for (kind, choice, item), stream in self._streams.items()
            if kind != named and not (kind.startswith("tool_") and (choice, item) in joined)
        ]

    def _join_calls(self, answer: Answer, encoding: Encoder | None) -> Iterator[None]:
        """Count several calls of an answer as the one call that the model wrote for them.

        Calls so long that part of them is already counted stay as they are.
        """
        calls = None if self.surcharges.dialect.reasons else self._whole_calls(answer)
        if calls is None or (len(calls) == 1 and not self._is_wrapped(calls[0][1])):
            return
        if not self.surcharges.of_responses:
            calls = [(name, minified(arguments)) for name, arguments in calls]
        self._joined[answer.number] = counted = Sum()
        yield from counted.steps(encoding, wrapped_calls(calls))

    def _is_wrapped(self, arguments: str) -> bool:
        """Return whether a single call was written as if it were one of several."""
        asked = self.surcharges
        own = asked.of_responses or asked.names_tool or asked.gpt_4
        return not own and is_spaced(arguments)

    def _whole_calls(self, answer: Answer) -> list[tuple[str, str]] | None:
        """Return names and arguments of the calls; None if part of their text was released."""
        found = []
        for choice, item in answer.calls:
            texts = []
            for kind in ("tool_name", "tool_arguments"):
                stream = self._streams.get((kind, choice, item)) or StreamText()
                stream.gather(None)
                if stream.sum.tokens or not stream.sum.exact:
                    return None
                texts.append("".join(stream.uncounted()))
            found.append((texts[0].removeprefix(billing.NAME_PREFIX), texts[1]))
        return found or None

    def _counted(self, answers: list[Answer]) -> Iterator[Part]:
        """Yield what the tokens of these answers so far are made of, by rule."""
        asked, name = self.surcharges, self._name.tokens
        yield rules.Part(asked.text_rule, sum(stream.sum.tokens for stream in self._billed()))
        for kind in self._marks():
            yield rules.Part(rules.RuleId[_MARKS[kind]], 0)
        yield from asked.of_all()
        for answer in answers:
            joined = self._joined.get(answer.number)
            yield from asked.of(answer, None if joined is None else joined.tokens, name)

    def _marks(self) -> set[str]:
        """Return the marks of what is not counted, or not surely."""
        found = {kind for kind, _, _ in self._streams} & _MARKS.keys()
        is_unclear = any(stream.is_unclear for stream in self._streams.values())
        return found | {"unknown"} if is_unclear else found

    def _count_name(self, encoding: Encoder | None) -> None:
        """Count the name of the schema: a structured answer may begin with it."""
        self._name = Sum()
        if self.surcharges.schema:
            self._name.take(encoding, self.surcharges.schema)
