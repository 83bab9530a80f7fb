"""An agent's loop of ten turns, and what explains each, worked out by hand.

What is billed and read from the cache is written here. ``cacheable`` is what was billed for the
turn before, and no more than for this one, in whole steps of 128 tokens; ``missed`` the rest of it
that was not read.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.calibration.biller import flat, text, tool

PAUSE = 0.2
"""Seconds for which the server's cache lives."""


@dataclass(frozen=True)
class Turn:
    """One call: what the server says of it, and what explains it."""

    billed: int
    read: int
    cacheable: int | None
    missed: int | None = 0
    reason: str | None = None
    pause: float = 0.0
    closed: bool = False
    """The application closes its stream early, so that the server reports nothing."""

    @property
    def explained(self) -> tuple[int | None, int | None, str | None]:
        """What its span has of the cache."""
        return (self.cacheable, self.missed, self.reason)


LOOP = {
    1: Turn(2000, 0, None, None),  # the first of its kind
    2: Turn(2500, 1920, 1920),  # 15 steps
    3: Turn(3000, 2432, 2432),  # 19
    4: Turn(3500, 2944, 2944),  # 23
    5: Turn(4000, 0, 3456, 3456, "not_served", pause=2 * PAUSE),  # 27
    6: Turn(4600, 0, 3968, 3968, "tools_changed"),  # 31
    7: Turn(5000, 4480, 4480),  # 35
    8: Turn(1500, 0, 1408, 1408, "history_rewritten"),  # 11, of what is left
    9: Turn(2000, 1408, 1408),
    10: Turn(0, 0, 1920, None, "unknown", closed=True),
}

FRAME = 4
"""Tokens around each message and each result."""
BY_API = {"chat": (25, 12, 16), "responses": (24, 10, 14)}
"""Instructions of 20 words, with a blank line above the tools in chat; what stands around a list of
tools, of which each has 13; a call of a tool."""


def composition(api: str, number: int) -> dict[str, int]:
    """Return what the input of a turn of :data:`LOOP` is made of, shared out to what is billed."""
    instructions, around, call = BY_API[api]
    results = range(8, number) if number >= 8 else range(1, number)  # compacted in the eighth
    question = 4 + FRAME
    counted = {
        "instructions": instructions,
        "tools": around + 13 * (3 if number >= 6 else 2),
        "tool_results": sum(30 + made + FRAME for made in results),
        "history": question + call * len(results) + (2000 + FRAME if number >= 8 else 0),
        "user": 0,
        "other": 3,
    }
    if number == 1:
        counted |= {"user": question, "history": 0}
    whole, billed = sum(counted.values()), LOOP[number].billed
    if LOOP[number].closed:
        return {part: tokens for part, tokens in counted.items() if tokens}
    shares = {part: divmod(tokens * billed, whole) for part, tokens in counted.items() if tokens}
    left = billed - sum(share for share, _ in shares.values())
    nearest = sorted(shares, key=lambda part: -shares[part][1])[:left]
    return {part: share + (part in nearest) for part, (share, _) in shares.items()}


BESIDE = {number: Turn(300, 0, None, None) for number in (2, 6, 8)}
"""Calls of another kind after these turns: each begins otherwise than all before."""

OTHER = {
    3: Turn(2000, 0, 0),  # begins with the same tools and instructions, which are few
    5: Turn(2100, 1920, 1920),
    7: Turn(2200, 0, 2048, 2048, "instructions_changed"),  # 16
}
"""Turns of another conversation after these."""


class Conversation:
    """What an agent sends: the items grow by what was answered and what its tool said."""

    def __init__(self, api: str, question: str) -> None:
        self.api = api
        self.first = {"role": "user", "content": question}
        self.items = [self.first]
        self.tools = ["look", "search"]
        self.instructions = text(20)

    def go_on(self, number: int) -> None:
        """Add a call of a tool, and its result."""
        if self.api == "chat":
            made = {"name": "look", "arguments": f'{{"page":{number}}}'}
            call = {"id": f"c{number}", "type": "function", "function": made}
            self.items += [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": f"c{number}", "content": text(number + 30)},
            ]
        else:
            made = {"name": "look", "arguments": f'{{"page":{number}}}', "call_id": f"c{number}"}
            result = {"call_id": f"c{number}", "output": text(number + 30)}
            self.items += [
                {"type": "function_call", **made},
                {"type": "function_call_output", **result},
            ]

    def compact(self) -> None:
        """Put a summary in the place of all but the question."""
        self.items = [self.first, {"role": "assistant", "content": text(2000)}]

    def asked(self) -> dict[str, object]:
        """Return the arguments of a call."""
        if self.api == "chat":
            system = {"role": "system", "content": self.instructions}
            tools = [tool(name) for name in self.tools]
            return {"model": "gpt-4o", "messages": [system, *self.items], "tools": tools}
        asked = {"model": "gpt-4o", "instructions": self.instructions, "input": [*self.items]}
        return {**asked, "tools": [flat(name) for name in self.tools]}


def beside(api: str, number: int) -> dict[str, object]:
    """Return an auxiliary call, as one that names a conversation."""
    said = f"Name this in five words: {text(number)}"
    if api == "chat":
        return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": said}]}
    return {"model": "gpt-4o-mini", "input": said}
