"""The tokens a server adds around the texts of a prompt, by family of models and API.

Each figure belongs to the rule next to it; the evidence for each rule is in `evidence`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from tokentrail.counting.models import Dialect
from tokentrail.counting.rules import RuleId as Id
from tokentrail.support.frozen import lean_dataclass


class Cost(NamedTuple):
    """Tokens, and the rule that gives them."""

    rule: Id
    tokens: int


@lean_dataclass(frozen=True, slots=True)
class Overhead:
    """What surrounds the texts of a prompt of messages."""

    start: Cost
    """The start of the answer."""
    tools: Cost
    call: Cost
    """A tool call in an earlier answer, besides its message."""
    message: int = 3
    name: int = 1
    assistant: Cost | None = None
    """An earlier answer of text, besides its message."""
    joined: bool = False
    """Tools and schema follow in the system message after a blank line; it is added if missing."""
    wrapped: bool = False
    """The system message's text is between blank lines if tools or a schema follow."""


_PLAIN = Overhead(
    Cost(Id.MESSAGES, 3),
    tools=Cost(Id.TOOLS_CHAT, 5),
    call=Cost(Id.CALL_CHAT, 6),
    joined=True,
)
_PLAIN_RESPONSES = Overhead(
    Cost(Id.MESSAGES, 3),
    tools=Cost(Id.TOOLS_RESPONSES, 3),
    call=Cost(Id.CALL_RESPONSES, 4),
)
_GPT_5 = Overhead(
    Cost(Id.MESSAGES_REASONING, 2),
    tools=Cost(Id.TOOLS_CHAT_GPT_5, 91),
    call=Cost(Id.CALL_CHAT_GPT_5, 12),
    assistant=Cost(Id.ASSISTANT_REASONING, 2),
    wrapped=True,
)
_GPT_5_RESPONSES = replace(
    _GPT_5,
    tools=Cost(Id.TOOLS_RESPONSES_REASONING, 9),
    call=Cost(Id.CALL_RESPONSES_GPT_5, 10),
    wrapped=False,
)
_O_SERIES = replace(
    _GPT_5,
    tools=Cost(Id.TOOLS_CHAT_O, 10),
    call=Cost(Id.CALL_O, 12),
    assistant=Cost(Id.ASSISTANT_O, 2),
    wrapped=False,
)
_O_SERIES_RESPONSES = replace(
    _O_SERIES, tools=Cost(Id.TOOLS_RESPONSES_REASONING, 9), call=Cost(Id.CALL_O, 7)
)
_OSS = Cost(Id.MESSAGES_OSS, 66)

_CHAT = {
    Dialect.PLAIN: _PLAIN,
    Dialect.OLDEST: replace(_PLAIN, start=Cost(Id.MESSAGES_OLDEST, 3), message=4, name=-1),
    Dialect.O_SERIES: _O_SERIES,
    Dialect.EARLY: replace(_O_SERIES, start=Cost(Id.MESSAGES_EARLY, 3)),
    Dialect.GPT_5: _GPT_5,
    Dialect.GPT_5_4: _GPT_5,
    Dialect.OSS: replace(_O_SERIES, start=_OSS),
}
_RESPONSES = {
    **_CHAT,
    Dialect.PLAIN: _PLAIN_RESPONSES,
    Dialect.O_SERIES: _O_SERIES_RESPONSES,
    Dialect.EARLY: replace(_O_SERIES_RESPONSES, start=Cost(Id.MESSAGES_EARLY, 3)),
    Dialect.GPT_5: _GPT_5_RESPONSES,
    Dialect.GPT_5_4: replace(_GPT_5_RESPONSES, call=Cost(Id.CALL_RESPONSES_GPT_5_4, 13)),
    Dialect.OSS: replace(_O_SERIES_RESPONSES, start=_OSS),
}


def overhead(dialect: Dialect, *, of_responses: bool) -> Overhead:
    """Return what surrounds the texts of a prompt of such models."""
    return (_RESPONSES if of_responses else _CHAT)[dialect]
