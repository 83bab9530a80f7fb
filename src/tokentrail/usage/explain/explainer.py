"""Explains finished calls: the parts of the input, the prompt cache, repeated requests."""

from __future__ import annotations

from dataclasses import astuple
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from tokentrail.model.operations import CHAT, RESPONSES
from tokentrail.model.records import Explanation, Outcome
from tokentrail.support.bounded import RecentlyUsed
from tokentrail.usage.explain import prompt_cache
from tokentrail.usage.explain.composition import SectionCounter, scaled
from tokentrail.usage.explain.conversations import Conversations, SeenCall
from tokentrail.usage.explain.prompt_cache import Prefixes
from tokentrail.usage.explain.sections import keyed, keyed_text, read_sections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.counting import Encoder
    from tokentrail.model.records import CacheUse, Count, Operation, Prompt, Request
    from tokentrail.usage.explain.conversations import Conversation
    from tokentrail.usage.explain.sections import Digest, Sections
    from tokentrail.usage.resolve import Model

AGAIN: Final = 60.0
"""Seconds within which an identical request counts as repeated."""
REQUESTS: Final = 1024
"""Requests that are remembered for that."""
_APIS: Final = frozenset({CHAT.name, RESPONSES.name})
_ASKED: Final = attrgetter(
    "operation", "choice_count", "max_tokens", "temperature", "top_p", "top_k", "seed",
    "frequency_penalty", "presence_penalty", "stop_sequences", "output_type", "reasoning_level",
    "previous_response_id",
)  # fmt: skip
"""Fields that distinguish requests besides their prompts."""


class Explainer:
    """Explains calls in the order in which they ended. For one thread only."""

    def __init__(self, share: float, *, names: bool) -> None:
        """``share`` of conversations, from 0 to 1; ``names``: whether tools are named."""
        self._conversations = Conversations(share)
        self._counter = SectionCounter()
        self._prefixes = Prefixes()
        self._answered: RecentlyUsed[Digest, float] = RecentlyUsed(REQUESTS)
        self._names = names

    def explains(self, request: Request) -> bool:
        """Return whether the input of a call can be explained."""
        return request.operation in _APIS and request.api in {CHAT.api, RESPONSES.api}

    def steps(
        self, operation: Operation, prompt: Prompt, total: Count, model: Model, encoder: Encoder
    ) -> Iterator[None]:
        """Explain a call whose input is ``total``, in short slices.

        Returns None for a conversation that is not sampled.
        """
        sections = yield from read_sections(operation.request, prompt)
        sent = operation.end_time / 1e9 - operation.duration
        conversation = self._conversations.of(operation.request, sections)
        before = conversation.before(sections)
        self._keep(conversation, operation, sections, total.tokens)
        prefixes = sections.prefixes()
        shared = self._prefixes.longest(prefixes)
        self._prefixes.keep(prefixes, sent)
        is_repeated = self._is_repeated(operation, prompt, sections, sent)
        yield
        if not conversation.is_chosen:
            return
        counted = yield from self._counter.count(prompt, sections, model, encoder)
        use: CacheUse | None = None
        if before is not None:
            use = prompt_cache.use_after(before, operation.request, sections, total.tokens, sent)
        elif shared is not None:
            use = prompt_cache.use_of_first(shared, counted, total.tokens, sent)
        parts = scaled(counted, total, model, prompt, operation.usage.reported)
        tools = next((part.tokens for part in parts if part.name == "tools"), 0)
        named: tuple[tuple[str, int], ...] = ()
        if self._names and tools:
            named = yield from self._counter.tools(prompt, tools, encoder, model.encoding)
        use = prompt_cache.with_report(use, operation.response)
        operation.explanation = Explanation(parts, named, use, is_repeated)

    def _keep(
        self, conversation: Conversation, operation: Operation, sections: Sections, tokens: int
    ) -> None:
        request, response = operation.request, operation.response
        sent = operation.end_time / 1e9 - operation.duration
        length = len(sections.items)
        seen = SeenCall(sections.head, sections.end, length, request.cache_key, tokens, sent)
        response_id = response.id if response is not None else None
        self._conversations.keep(conversation, request, sections, seen, response_id)

    def _is_repeated(
        self,
        operation: Operation,
        prompt: Prompt,
        sections: Sections,
        sent: float,
    ) -> bool:
        """Return whether the same request was answered within the last minute; remember this one.

        False if the server adds the conversation, which has grown since.
        """
        request = operation.request
        if request.conversation_id is not None or operation.outcome is not Outcome.COMPLETED:
            return False
        asked = keyed_text(repr((_ASKED(request), prompt.tool_choice, prompt.variant)))
        whole = keyed(*astuple(sections.head), sections.end, asked)
        last = self._answered.use(whole)
        self._answered.keep(whole, sent)
        return last is not None and sent - last <= AGAIN
