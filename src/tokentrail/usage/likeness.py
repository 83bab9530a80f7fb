"""What similar calls have in common: the key under which calibration learns.

It consists of provider, host and deployment, API and answering model; the content of tools, tool
choice, response format, reasoning effort and a few more settings; whether there are instructions,
and the number of earlier turns of each kind. Only a hash of all that is kept.
"""

from __future__ import annotations

import json
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING

from tokentrail.counting.rules import RuleId, is_proven
from tokentrail.counting.turns import turns

if TYPE_CHECKING:
    from collections.abc import Generator

    from tokentrail.counting import InputTally, Turn
    from tokentrail.model.records import Message, Prompt, Request

_BYTES = 16
_AT_ONCE = 32
"""Turns read between two yields: some tens of microseconds."""
_IMAGES = frozenset(rule for rule in RuleId if rule.value.startswith("input.image."))
_NEVER = frozenset(
    {
        RuleId.NOT_READ,
        RuleId.REASONING_SEALED,
        RuleId.REASONING_DROPPED,
        RuleId.COMPACTION,
        RuleId.IMAGE_UNSIZED,
        RuleId.IMAGE_UNPROVEN,
        RuleId.FILE_TEXT,
        RuleId.MESSAGES_MARCH,
        RuleId.SCHEMA_CLASS,
    }
)
"""Rules for what differs from call to call or is not understood: no constant can replace it."""
_INSTRUCTIONS = frozenset({"system", "developer"})
_SEALED = frozenset({"reasoning", "compaction"})


def can_be_alike(prompt: Prompt) -> bool:
    """Return whether everything that the server adds to a prompt may be constant."""
    if prompt.unknowable or prompt.incomplete or prompt.hosted_tools or prompt.truncates:
        return False
    return bool(prompt.messages) and not any(map(_is_unfit, prompt.messages))


def _is_unfit(message: Message) -> bool:
    return bool(message.role in _SEALED or message.files or message.unknown_parts)


def is_countable(tally: InputTally) -> bool:
    """Return whether the rest of an input was counted for certain."""
    rules = {part.rule for part in tally.parts}
    unsure = {rule for rule in rules & _IMAGES if not is_proven(rule)}
    return tally.measured and rules.isdisjoint(_NEVER) and not unsure


def likeness(
    request: Request, prompt: Prompt, answered: str
) -> Generator[None, None, bytes | None]:
    """Return, after short slices, the hash of the constant part; ``None`` without text.

    ``answered``: the answering model.
    """
    endpoint = request.endpoint
    digest = blake2b(digest_size=_BYTES)
    who = (endpoint.provider, endpoint.key, request.model, request.api, answered)
    about = (prompt.schema_name, prompt.schema_about, request.reasoning_level, prompt.variant)
    try:
        digest.update(_text([who, about, prompt.tool_choice, prompt.schema]))
        for tool in prompt.tools:
            digest.update(_text(tool))
            yield
        kinds: Counter[str] = Counter()
        for number, turn in enumerate(turns(prompt)):
            kinds[_kind(turn)] += 1
            if number % _AT_ONCE == _AT_ONCE - 1:
                yield
        instructed = prompt.messages[0].role in _INSTRUCTIONS
        digest.update(_text([instructed, sorted(kinds.items())]))
    except (TypeError, ValueError, RecursionError, RuntimeError):  # no JSON: no key
        return None
    return digest.digest()


def _text(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _kind(turn: Turn) -> str:
    """Return the kind of a turn: the server writes the same around all turns of a kind."""
    message = turn.message
    texts = min(len(message.texts), 2) if any(message.texts) else 0
    kind = f"{message.role} {texts} {len(message.images)} {message.name is not None}"
    if turn.calls:
        completed = sum(call.completed for call in turn.calls)
        seen = sum(len(result.images) for result in turn.results)
        kind += f" {len(turn.calls)} {completed} {len(turn.results)} {seen}"
    return f"{kind} of 2023" if message.function_call is not None else kind
