"""The server of the load, which knows what usage it reported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tokentrail.testing.exchanges import TOWN
from tokentrail.testing.model import Model
from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Call, Event, Plain, Reply, Stream, Wait

LATE, SLOW = 5.2, 20.5
"""Seconds: more than the gateway's policies call slow."""
HELD = 1.0
"""Seconds between the first and the second chunk of a call that is cancelled meanwhile."""


class Provider:
    """Answers as the demo's model does, or as the kind has it that a header names."""

    def __init__(self) -> None:
        self._model = Model(
            delay=0.002, models={"our-own": "our-own"}, deployments={"help": "gpt-35-turbo"}
        )
        self._answers: list[tuple[str, dict[str, int]]] = []

    def __call__(self, call: Call) -> Reply:
        """Return the reply, and remember the usage in it."""
        kind = call.headers.get("x-kind")
        if kind == "costly":
            answer = Answer(("Yes.",), Usage(10, 5000), "gpt-4o-mini")
            return Stream(chat.chunks(answer, "last"))
        reply = self._model(call)
        if isinstance(reply, Stream):
            reply = replace(reply, steps=list(reply.steps), wait=LATE if kind == "late" else 0.0)
            if kind == "slow":
                reply.steps.insert(-1, Wait(SLOW))
            elif kind == "cancelled":
                first = next(n for n, step in enumerate(reply.steps) if isinstance(step, Event))
                reply.steps.insert(first + 1, Wait(HELD))
        if kind is None:
            self._answers.append((call.body["messages"][0]["content"], _usage(reply)))
        return reply

    @property
    def answered(self) -> int:
        """How many calls of scenes there were so far."""
        return len(self._answers)

    def reported(self) -> dict[str, int]:
        """Return the tokens that were reported to calls of scenes, by direction.

        But to those that stop half way: of a usage that comes at the end they know nothing.
        """
        read = [usage for question, usage in self._answers if question != TOWN.question]
        return {kind: sum(each.get(kind, 0) for each in read) for kind in ("input", "output")}


def _usage(reply: Reply) -> dict[str, int]:
    bodies: list[Any] = [reply.body] if isinstance(reply, Plain) else []
    if isinstance(reply, Stream):
        bodies = [step.data for step in reply.steps if isinstance(step, Event)]
    found = [body["usage"] for body in bodies if isinstance(body, dict) and body.get("usage")]
    names = {"input": "prompt_tokens", "output": "completion_tokens"}
    return {kind: found[-1][name] for kind, name in names.items() if found}
