"""Which conversation a call belongs to, and which earlier call it continues.

Known by its conversation id, the response that it continues, or its cache key with the first user
message, since one key may serve a whole application; else by the longest chain of items that it
shares, up to the first user message at least. Model, tools, schema and instructions do not count,
so a change of these starts no new conversation.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from tokentrail.support.bounded import RecentlyUsed
from tokentrail.support.frozen import lean_dataclass
from tokentrail.usage.explain.sections import keyed, keyed_text

if TYPE_CHECKING:
    from tokentrail.model.records import Request
    from tokentrail.usage.explain.sections import Digest, Head, Sections

CONVERSATIONS: Final = 1024
"""Conversations that are remembered by a name."""
CHAINS: Final = 16_384
"""Chains of items by which conversations are found."""
CALLS: Final = 8
"""Latest calls of a conversation that are remembered: other calls may come between two turns."""
_ATTRIBUTE: Final = "gen_ai.conversation.id"


@lean_dataclass(frozen=True, slots=True)
class SeenCall:
    """A call that was answered."""

    head: Head
    end: Digest
    length: int
    """Number of its items, and the hash of all."""
    cache_key: str | None
    tokens: int
    """Tokens of its input."""
    sent: float
    """Seconds since the epoch."""


@dataclass(eq=False, slots=True)
class Conversation:
    """The latest calls of one conversation, and whether it is sampled."""

    is_chosen: bool
    calls: tuple[SeenCall, ...] = ()
    """The latest first, without calls that others have continued."""

    def before(self, sections: Sections) -> SeenCall | None:
        """Return the call that these sections continue.

        The one with the most items in them; the latest if none has any. Among several, the one with
        the same beginning, so a call outside the conversation is not taken for the turn before.
        """
        continued = self._continued(sections)
        longest = max((call.length for call in continued), default=None)
        calls = [call for call in continued if call.length == longest] or list(self.calls)
        alike = [call for call in calls if call.head == sections.head]
        return next(iter([*alike, *calls]), None)

    def add(self, sections: Sections, call: SeenCall) -> None:
        """Add its latest call, in place of the one that it continues: no other continues that."""
        before, past = self.before(sections), self._continued(sections)
        if before is None or before not in past or before.head != call.head:
            past = [old for old in past if (old.end, old.head) == (call.end, call.head)]
        self.calls = (call, *islice((old for old in self.calls if old not in past), CALLS - 1))

    def _continued(self, sections: Sections) -> list[SeenCall]:
        items = sections.items
        return [call for call in self.calls if items[call.length - 1 : call.length] == (call.end,)]


class Conversations:
    """Finds the conversation of a call. For one thread alone."""

    def __init__(self, share: float) -> None:
        """``share`` of conversations that are sampled, from 0 to 1."""
        self._share = share
        self._named: RecentlyUsed[Digest, Conversation] = RecentlyUsed(CONVERSATIONS)
        self._chains: RecentlyUsed[Digest, Conversation] = RecentlyUsed(CHAINS)

    def of(self, request: Request, sections: Sections) -> Conversation:
        """Return the conversation that a call belongs to: a known one, or a new one."""
        for name in _names(request, sections):
            found = self._named.use(name)
            if found is not None:
                return found
        if not (_is_named(request) or _begins(request, sections)):
            for chain in reversed(sections.items[sections.first_user :]):
                found = self._chains.use(chain)
                if found is not None:
                    return found
        return Conversation(self._is_chosen(request, sections))

    def keep(
        self,
        conversation: Conversation,
        request: Request,
        sections: Sections,
        call: SeenCall,
        response_id: str | None,
    ) -> None:
        """Remember a call that was answered with its conversation."""
        conversation.add(sections, call)
        for name in _names(request, sections):
            self._named.keep(name, conversation)
        if response_id is not None:
            self._named.keep(keyed_text("response", response_id), conversation)
        for chain in sections.items[sections.first_user :]:
            self._chains.keep(chain, conversation)

    def _is_chosen(self, request: Request, sections: Sections) -> bool:
        """Sample by a value that all calls of a conversation have in common."""
        if self._share >= 1:
            return True
        first = sections.items[sections.first_user : sections.first_user + 1]
        drawn = next(iter([*_names(request, sections), *first, sections.head.instructions]))
        return int.from_bytes(drawn[:8], "big") < self._share * 2**64


def _is_named(request: Request) -> bool:
    """Whether the application names the conversation: then none is guessed."""
    return conversation_id(request) is not None


def _begins(request: Request, sections: Sections) -> bool:
    """Whether it is a first question under a key: others may ask the same under keys of theirs."""
    return request.cache_key is not None and len(sections.items) == sections.first_user + 1


def conversation_id(request: Request) -> str | None:
    """Return the id of the conversation, the server's or the application's own."""
    if request.conversation_id is not None:
        return request.conversation_id
    given = dict(request.attribution).get(_ATTRIBUTE)
    return given if isinstance(given, str) else None


def _names(request: Request, sections: Sections) -> list[Digest]:
    """Return the names of the conversation, the most reliable first."""
    found = (
        ("conversation", conversation_id(request)),
        ("response", request.previous_response_id),
    )
    names = [keyed_text(kind, name) for kind, name in found if name is not None]
    first = sections.items[sections.first_user : sections.first_user + 1]
    if request.cache_key is not None and first:
        names.append(keyed(keyed_text("cache key", request.cache_key), *first))
    return names
