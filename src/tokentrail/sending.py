"""A call on its way to the server, as what happens inside it can see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokentrail.recorder import Recorder


class Sending:
    """What the context of a call bears: whose it is, and what records it.

    A context outlives its call, in the tasks and callbacks that were started in it.
    """

    __slots__ = ("client", "recorder")

    def __init__(self, client: object) -> None:
        self.client: object | None = client
        """Who sends it; ``None`` once the answer is there."""
        self.recorder: Recorder | None = None

    def over(self) -> None:
        """Let go of the call: what happens in its context from now on does not belong to it."""
        self.client = self.recorder = None
