"""The parts of an input. Text that was counted before is not encoded again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.counting import InputTally, RuleId, is_proven
from tokentrail.counting.text import Sum
from tokentrail.counting.tools import MalformedError, Rendering
from tokentrail.model.records import InputPart, Message, Prompt, Source
from tokentrail.support.bounded import RecentlyUsed
from tokentrail.support.frozen import lean_dataclass
from tokentrail.usage.explain.sections import INSTRUCTIONS, keyed, keyed_text
from tokentrail.usage.explain.shares import apportion

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tokentrail.counting import Encoder
    from tokentrail.model.records import Count, Reported
    from tokentrail.usage.explain.sections import Digest, Sections, Unit
    from tokentrail.usage.resolve import Model

PARTS: Final = (
    "instructions", "tools", "tool_results", "history", "user", "images", "files", "schema", "other"
)  # fmt: skip
"""In the order in which they are shown."""
REMEMBERED: Final = 32_768
"""Sections with their tokens."""
_AT_ONCE: Final = 32
"""Known units added up between two yields: some 30 us."""
LARGEST: Final = 10
"""Number of tools that are named."""
_IMAGES: Final = frozenset(rule for rule in RuleId if rule.value.startswith("input.image."))
_OTHER: Final = frozenset({RuleId.REASONING_SEALED, RuleId.REASONING_DROPPED, RuleId.COMPACTION})
_PLACES: Final = {"tools": "tools", "tool_choice": "tools", "schema": "schema"}
_ROLES: Final = {
    "assistant": "history",
    **dict.fromkeys(("tool", "function"), "tool_results"),
    **dict.fromkeys(INSTRUCTIONS, "instructions"),
}
_OF_A_TURN: Final = "turn"
"""From the user: only the position decides whether it is the last turn or history."""

Tokens = dict[str, int]


@lean_dataclass(frozen=True, slots=True)
class Counted:
    """The tokens of a section by part, and the parts with an unproven rule."""

    tokens: tuple[tuple[str, int], ...]
    unsure: frozenset[str]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(tokens for _, tokens in self.tokens)


@lean_dataclass(frozen=True, slots=True)
class CountedInput:
    """An input as counted, before it is scaled to the billed total."""

    head: Counted
    """Tokens before the items."""
    units: tuple[Counted, ...]
    parts: Tokens
    unsure: frozenset[str]

    sizes: tuple[int, ...]
    """How many items each unit is."""

    @property
    def total(self) -> int:
        """All tokens."""
        return sum(self.parts.values())

    def of_items(self, number: int) -> int:
        """Return the tokens of the first ``number`` items, without a unit that is cut in two."""
        tokens = 0
        for unit, size in zip(self.units, self.sizes, strict=True):
            number -= size
            if number < 0:
                break
            tokens += unit.total
        return tokens


class SectionCounter:
    """Counts prompts section by section; remembers the result of each."""

    def __init__(self) -> None:
        self._known: RecentlyUsed[tuple[Digest, Digest], Counted] = RecentlyUsed(REMEMBERED)
        self._tools: RecentlyUsed[Digest, int] = RecentlyUsed(REMEMBERED)

    def count(
        self, prompt: Prompt, sections: Sections, model: Model, encoder: Encoder
    ) -> Generator[None, None, CountedInput]:
        """Return the composition of a prompt, after short slices."""
        schema = prompt.schema_name or "" if prompt.schema is not None else None
        base = keyed_text(model.name, model.encoding, repr((prompt.of_responses, schema)))
        head = yield from self._head(prompt, sections, (model, encoder, base))
        units: list[Counted] = []
        parts: Tokens = dict.fromkeys(PARTS, 0)
        unsure = set(head.unsure)
        _add(parts, head, "user")
        last_answer = _last_answer(prompt)
        for number, unit in enumerate(sections.units):
            counted = self._known.use((base, unit.digest))
            if counted is None:
                counted = yield from self._unit(prompt, unit, (model, encoder, base))
            elif number % _AT_ONCE == _AT_ONCE - 1:
                yield
            part_of_turn = "user" if unit.turn.first > last_answer else "history"
            unsure |= {part_of_turn if part == _OF_A_TURN else part for part in counted.unsure}
            _add(parts, counted, part_of_turn)
            units.append(counted)
        if prompt.unknowable or prompt.incomplete:
            unsure |= set(PARTS)
        sizes = tuple(unit.size for unit in sections.units)
        return CountedInput(head, tuple(units), parts, frozenset(unsure), sizes)

    def tools(
        self, prompt: Prompt, tokens: int, encoder: Encoder, encoding: str
    ) -> Generator[None, None, tuple[tuple[str, int], ...]]:
        """Return the largest tools by name, with their share of the tokens of all tools."""
        names: list[str] = []
        weights: list[int] = []
        for tool in prompt.tools:
            text = _declaration(tool)
            key = keyed_text(encoding, text)
            weight = self._tools.use(key)
            if weight is None:
                counted = Sum()
                yield from counted.steps(encoder, text)
                weight = counted.tokens
                self._tools.keep(key, weight)
            names.append(str(tool.get("name")))
            weights.append(weight)
        shares = zip(names, apportion(tokens, weights), strict=True)
        return tuple(sorted(shares, key=lambda share: -share[1])[:LARGEST])

    def _head(
        self, prompt: Prompt, sections: Sections, counted_by: tuple[Model, Encoder, bytes]
    ) -> Generator[None, None, Counted]:
        model, encoder, base = counted_by
        choice = keyed_text(prompt.tool_choice or "", str(prompt.hosted_tools))
        head = sections.head
        key = (base, keyed(head.tools, head.schema, head.instructions, choice))
        known = self._known.use(key)
        if known is not None:
            return known
        leading = prompt.messages[: sections.leading]
        of_head = Prompt(
            messages=leading or (Message(role="user"),),
            tools=prompt.tools,
            tool_choice=prompt.tool_choice,
            schema=prompt.schema,
            schema_name=prompt.schema_name,
            schema_about=prompt.schema_about,
            of_responses=prompt.of_responses,
        )
        tally = InputTally(of_head, places=True)
        yield from tally.steps(encoder, model.name)
        counted = _counted(tally, of_head, without=None if leading else 0)
        self._known.keep(key, counted)
        return counted

    def _unit(
        self, prompt: Prompt, unit: Unit, counted_by: tuple[Model, Encoder, bytes]
    ) -> Generator[None, None, Counted]:
        model, encoder, base = counted_by
        turn = unit.turn
        if turn.dropped:
            counted = Counted((), frozenset({"other"}))
        else:
            has_schema = prompt.schema is not None
            of_unit = Prompt(
                messages=prompt.messages[turn.first : turn.first + unit.size],
                schema={} if has_schema else None,
                schema_name=prompt.schema_name if has_schema else None,
                of_responses=prompt.of_responses,
            )
            tally = InputTally(of_unit, places=True)
            yield from tally.steps(encoder, model.name)
            counted = _counted(tally, of_unit, only=True)
        self._known.keep((base, unit.digest), counted)
        return counted


def scaled(
    counted: CountedInput, total: Count, model: Model, prompt: Prompt, reported: Reported | None
) -> tuple[InputPart, ...]:
    """Return the parts of an input; they sum to ``total`` exactly, and none is empty.

    What the server stores and adds itself is assigned first, then the rest is scaled.
    """
    parts = dict(counted.parts)
    left = total.tokens - counted.total
    is_right = left == 0
    unsure = set(counted.unsure)
    if left > 0 and (holder := _holder(prompt)) is not None:
        parts[holder] += left
        unsure.add(holder)
        is_right = True
    sound = min(reported.audio_input_tokens or 0, total.tokens) if reported is not None else 0
    if sound:
        parts["other"], is_right = 0, False
    tokens = apportion(total.tokens - sound, [parts[name] for name in PARTS])
    tokens[-1] += total.tokens - sum(tokens)  # audio, or everything if nothing was counted
    is_known = is_right and model.known
    return tuple(
        InputPart(
            name,
            number,
            Source.COUNTED if is_known and name not in unsure else Source.APPROXIMATED,
        )
        for name, number in zip(PARTS, tokens, strict=True)
        if number
    )


def _holder(prompt: Prompt) -> str | None:
    """Return the part to which the server adds what it stores, if anything."""
    if not prompt.unknowable:
        return None
    return "tools" if prompt.hosted_tools else "history"


def _counted(
    tally: InputTally, prompt: Prompt, *, without: int | None = None, only: bool = False
) -> Counted:
    """Sort counted tokens into parts.

    ``without``: index of a message that is only a placeholder; ``only``: messages alone.
    """
    found: Tokens = {}
    unsure: set[str] = set()
    for place, part in tally.placed_parts:
        if place == without or (only and isinstance(place, str)):
            continue
        name = _part(place, part.rule, prompt)
        found[name] = found.get(name, 0) + part.tokens
        if not (is_proven(part.rule) and tally.measured):
            unsure.add(name)
    return Counted(tuple((name, max(0, n)) for name, n in found.items()), frozenset(unsure))


def _part(place: int | str, rule: RuleId, prompt: Prompt) -> str:
    if rule in _IMAGES:
        return "images"
    if rule is RuleId.FILE_TEXT:
        return "files"
    if isinstance(place, str):
        for_tools = rule.value.startswith("input.tools.")  # a message added by the server for them
        return "tools" if for_tools else _PLACES.get(place, "other")
    return "other" if rule in _OTHER else _ROLES.get(prompt.messages[place].role, _OF_A_TURN)


def _add(parts: Tokens, counted: Counted, part_of_turn: str) -> None:
    for name, tokens in counted.tokens:
        parts[part_of_turn if name == _OF_A_TURN else name] += tokens


def _last_answer(prompt: Prompt) -> int:
    """Return the index of the last assistant message, -1 without any."""
    places = range(len(prompt.messages) - 1, -1, -1)
    return next((at for at in places if prompt.messages[at].role == "assistant"), -1)


def _declaration(tool: Mapping[str, object]) -> str:
    rendering = Rendering()
    try:
        rendering.add(tool)
    except (MalformedError, RuntimeError):
        return str(tool.get("name"))
    return rendering.text()
