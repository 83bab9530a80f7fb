"""Tool calls in a streamed answer: which deltas start a call, and which continue one.

Some servers number the deltas of calls as OpenAI does, others number all of them 0, or none. Some
repeat the name or the id on every delta. Within a choice, a delta with a new id starts a new call.
A delta with a name also does, if the call at its place has arguments. Others continue the last one.
Some servers repeat in each delta the arguments so far.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final
from zlib import crc32

from tokentrail.apis.values import fields, is_absent, nonempty_str, sequence

MAX_CALLS: Final = 1024
"""The most separate calls of a choice; further ones are added to the last."""


def arguments_text(value: object) -> str | None:
    """Return the arguments of a call as text; an object is converted back to JSON."""
    if isinstance(value, str) or is_absent(value):
        return nonempty_str(value)
    if isinstance(value, (Mapping, list, int, float)):
        try:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        except (TypeError, ValueError):
            return None
    return None


_ARGUMENTS: Final = ("arguments", "input", "parameters")


def arguments_of(call: Mapping[str, object]) -> str | None:
    """Return the arguments of a call, or of a piece of one, as text."""
    for name in _ARGUMENTS:
        if name in call and (text := arguments_text(call[name])) is not None:
            return text
    return None


def written_content(content: object) -> object:
    """Return the content of an answer; a number is converted back to text."""
    return json.dumps(content) if type(content) in {int, float} else content


def each_call(calls: object) -> list[Mapping[str, object]]:
    """Return the fields of each call; some servers send a single call without a list."""
    if isinstance(calls, (list, tuple)):
        return [fields(call) or {"function": call} for call in sequence(calls)]
    given = fields(calls)
    return [given or {"function": calls}] if calls else []


def called(call: Mapping[str, object]) -> Mapping[str, object]:
    """Return the fields of a call's function or custom tool, which may be in the call itself."""
    named = fields(call.get("function")) or fields(call.get("custom"))
    return named or (call if "name" in call else {})


def is_unknown(call: Mapping[str, object]) -> bool:
    """Whether a call has an unknown form, of which nothing was read."""
    if called(call):
        return False
    others = any(call[name] for name in call if name not in _PLAIN)
    return bool(call.get("function")) or others or call.get("type") not in _TYPES


_PLAIN: Final = frozenset({"id", "index", "type"})
_TYPES: Final = (None, "", "function", "custom")


def repeats_a_call(legacy: object, calls: list[Mapping[str, object]]) -> bool:
    """Whether a legacy function call is one of the tool calls next to it."""
    given = fields(legacy)
    return any(called(call) == given for call in calls)


def _checksum(text: str, so_far: int = 0) -> int:
    return crc32(text.encode(errors="replace"), so_far)


class OpenCall:
    """A call that further deltas may continue, and what its last delta added."""

    __slots__ = (
        "_length", "_sum", "arguments", "id", "is_unclear", "may_end", "name", "new_arguments",
        "new_name", "repeats", "slot",
    )  # fmt: skip

    def __init__(self, slot: int) -> None:
        self.slot = slot
        """The number of the call."""
        self.new_name: str | None = None
        self.new_arguments: str | None = None
        self.id: str | None = None
        self.name = ""
        self.arguments = ""
        """The last piece of the arguments."""
        self.may_end = False
        """Whether the name was repeated after arguments that may be complete."""
        self.repeats: bool | None = None
        """Whether each piece begins with the arguments so far; ``None`` before the second."""
        self.is_unclear = False
        """Whether it is unclear which part of the pieces was generated."""
        self._length = self._sum = 0
        """The length and the checksum of the arguments so far."""

    def add(self, call_id: str | None, name: str | None, text: str | None) -> None:
        """Take the fields of the next delta."""
        self.id = self.id or call_id
        # Some servers repeat the name, or the name so far, on every delta.
        self.new_name = name.removeprefix(self.name) or None if name else None
        self.name += self.new_name or ""
        self.new_arguments = text
        if text:
            if self.arguments and self.repeats is not False:
                self._compare(text)
            self._note_restated(text, is_named=name is not None)
            self.arguments = text

    def _note_restated(self, text: str, *, is_named: bool) -> None:
        """Leave out arguments that a delta with the name repeats in full, after all their pieces.

        Whole arguments after others are no piece of them: it is unclear which were generated.
        """
        after_all = self.arguments.rstrip().endswith("}") and text.startswith("{")
        if is_named and after_all and not self.repeats:
            again = len(text) == self._length and _checksum(text) == self._sum
            self.new_arguments = None if again else text
            self.is_unclear |= not again
        if self.new_arguments:
            self._length += len(self.new_arguments)
            self._sum = _checksum(self.new_arguments, self._sum)

    def _compare(self, text: str) -> None:
        """Take only what ``text`` adds, if it begins with the arguments so far.

        An object cannot follow the beginning of the same object, except as a value inside it.
        """
        last, repeated = self.arguments, self.repeats
        again = last.lstrip().startswith("{") and text.startswith(last)
        may_nest = not repeated and last.rstrip().endswith((":", "[", ","))
        self.repeats = again and not may_nest
        if self.repeats:
            self.new_arguments = text[len(last) :] or None
        elif again or repeated:
            self.is_unclear = True


class CallPlaces:
    """Finds the call that each delta belongs to, and the new piece of its name."""

    __slots__ = ("_ids", "_last", "_open", "_slots")

    def __init__(self) -> None:
        self._open: dict[tuple[int, object], OpenCall] = {}
        """The open calls by choice and number from the server."""
        self._ids: dict[tuple[int, str], OpenCall] = {}
        """The calls by choice and id."""
        self._last: dict[int, OpenCall] = {}
        self._slots: dict[int, dict[int, None]] = {}

    def place(self, choice: int, call: Mapping[str, object], position: int = 0) -> OpenCall:
        """Return the call that a delta belongs to, with what the delta adds.

        ``position``: the position of the delta in its chunk.
        """
        index = call.get("index")
        number = index if type(index) is int else None
        own = self._open.get((choice, number)) if number is not None else self._last.get(choice)
        function = called(call)
        name, call_id = nonempty_str(function.get("name")), nonempty_str(call.get("id"))
        arguments = arguments_of(function)
        text = arguments or ""
        if call_id is not None and (own is not None or number is None):
            own = self._ids.get((choice, call_id), own)
        beside = number is None and position > 0 and name is not None and call_id is None
        if own is None or beside or self._begins(own, call_id, name, text):
            name = name or (own.name if own is not None and own.may_end else None)
            own = self._begin(choice, number)
            own.repeats = False if call.get("custom") else None  # its input is any text
        self._last[choice] = own
        if number is not None and len(self._open) < MAX_CALLS:
            self._open[choice, number] = own
        if call_id is not None and len(self._ids) < MAX_CALLS:
            self._ids[choice, call_id] = own
        own.add(call_id, name, arguments)
        return own

    @staticmethod
    def _begins(own: OpenCall, call_id: str | None, name: str | None, text: str) -> bool:
        """Whether a delta starts a new call instead of continuing ``own``."""
        if own.repeats and call_id in {None, own.id} and text.startswith(own.arguments):
            return False
        starts = text.lstrip().startswith("{")
        if call_id is not None and own.id is not None:
            if call_id == own.id:
                return bool(own.arguments and own.name) and name not in {None, own.name}
            # Some servers give each delta its own id: no call starts in the middle of arguments.
            amid = own.arguments and not own.arguments.rstrip().endswith("}")
            return not (amid and text and name is None and not starts)
        if name is None or not own.arguments:
            return own.may_end and starts
        whole = own.arguments.rstrip().endswith("}")
        if name != own.name:  # of a call without a name yet, it is the name
            return bool(own.name) or (whole and starts)
        # The same name again: the server repeats it, or the model calls the function again. One
        # call's arguments cannot have a second object after a complete one.
        own.may_end = whole and not text
        return whole and starts

    def _begin(self, choice: int, number: int | None) -> OpenCall:
        """Return a new call, with the server's number if that is not taken."""
        slots = self._slots.setdefault(choice, {})
        slot = len(slots) if number is None else number
        while slot in slots and len(slots) < MAX_CALLS:
            slot = max(slots) + 1
        slots[slot] = None
        return OpenCall(slot)
