"""The tokens of a whole request's input, part by part: the public `TokenCount`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.apis.responses.adapter import ResponsesAdapter
from tokentrail.counting.prompt import InputTally
from tokentrail.counting.rules import RULES, is_proven
from tokentrail.model.records import Endpoint, Prompt, Source
from tokentrail.support.frozen import lean_dataclass
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.counting import Encoder
    from tokentrail.model.records import Request

_NOWHERE: Final = Endpoint("openai", None, None, "")
_SAYS: Final = {rule.id: rule.says for rule in RULES}
CHAT: Final = "chat_completions"


@lean_dataclass(frozen=True, slots=True)
class TokenPart:
    """Tokens of one part of a request, counted by one rule."""

    of: str
    """The part: "messages[0]", "instructions", "input[2]", "tools", "tool_choice", "schema", or
    "request" for tokens of the request as a whole."""
    tokens: int
    """May be 0 or less: by some rules a part costs nothing, or saves a token."""
    rule: str
    """The id of the rule, as in docs/accuracy.md."""
    says: str
    """The rule in words."""
    worth: Source
    """``counted`` by a proven rule with the model's own encoding, else ``approximated``."""


@lean_dataclass(frozen=True, slots=True)
class TokenCount:
    """The tokens of a request's input, and its parts."""

    tokens: int | None
    """The sum of the parts; ``None`` if the server adds input that only it knows."""
    worth: Source | None
    """``counted`` if every part is, else ``approximated``; ``None`` without a number."""
    model: str
    encoding: str
    api: str
    """API of the request: ``chat_completions`` or ``responses``."""
    parts: tuple[TokenPart, ...]
    """In the order of the request; if ``tokens`` is ``None``, only the readable parts."""


def read_request(request: Mapping[str, object]) -> Request:
    """Return the request, read by the API to which its fields belong.

    Raises ValueError if it is neither chat completions nor responses.
    """
    if "messages" in request:
        return ChatAdapter().parse_request(_NOWHERE, request)
    if "input" in request or isinstance(request.get("prompt"), dict):
        return ResponsesAdapter().parse_request(_NOWHERE, request)
    message = (
        "request has neither messages (chat completions) nor input (responses): it is "
        f"{sorted(map(str, request))}"
    )
    raise ValueError(message)


def count_request(
    request: Request, given: Mapping[str, object], model: resolve.Model, encoder: Encoder
) -> TokenCount:
    """Return the token count of a request's input; ``given`` is the original request."""
    prompt = request.prompt or Prompt()
    tally = InputTally(prompt, places=True)
    for _ in tally.steps(encoder, model.name):
        pass
    count = resolve.to_count(request, model, tally, output=False)
    is_known = count is not None and not prompt.unknowable
    name = _naming(request, given, prompt)
    parts = tuple(
        TokenPart(
            of=name(place) if isinstance(place, int) else place,
            tokens=part.tokens,
            rule=part.rule.value,
            says=_SAYS[part.rule],
            worth=_worth(model, proven=is_proven(part.rule) and tally.measured),
        )
        for place, part in tally.placed_parts
    )
    return TokenCount(
        tokens=count.tokens if count is not None and is_known else None,
        worth=count.source if count is not None and is_known else None,
        model=model.name,
        encoding=model.encoding,
        api=request.api or CHAT,
        parts=parts,
    )


def _worth(model: resolve.Model, *, proven: bool) -> Source:
    return Source.COUNTED if model.known and proven else Source.APPROXIMATED


def _naming(request: Request, given: Mapping[str, object], prompt: Prompt) -> Callable[[int], str]:
    """Return a function that names the messages of a prompt as in the request."""
    field = "messages" if request.api == CHAT else "input"
    before = int(field == "input" and isinstance(given.get("instructions"), str))
    items = given.get(field)
    # If some were not understood, or a compaction replaces them, the numbers do not match.
    numbered = isinstance(items, (list, tuple)) and len(items) == len(prompt.messages) - before

    def name(place: int) -> str:
        if place < before:
            return "instructions"
        return f"{field}[{place - before}]" if numbered else field

    return name
