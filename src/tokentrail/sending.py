"""A call on its way to the server, as what happens inside it can see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokentrail.recorder import Recorder


class Sending:
    """What the context of a call bears: whose it is, and what records it.

    A context outlives its call, in the tasks and callbacks that were started in it.
    """

    __slots__ = ("_client", "recorder")

    def __init__(self, client: object) -> None:
        self._client: object | None = client
        """``None`` once the answer is there."""
        self.recorder: Recorder | None = None

    def is_of(self, client: object | None) -> bool:
        """Whether a call of ``client``, if one is named, belongs to this one: it is sent by it."""
        return self._client is not None and (client is None or client is self._client)

    def over(self) -> None:
        """Let go of the call: what happens in its context from now on does not belong to it."""
        self._client = self.recorder = None
