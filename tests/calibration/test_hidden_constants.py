"""A server with hidden constants that change, flap and are retried: nothing known is ever wrong."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest
from tests.calibration.biller import hidden, tool

from tokentrail.usage.calibration import LAST

KINDS = {
    "steady": {"tools": [tool("look")]},
    "changes": {"tools": [tool("find")]},
    "flaps": {"tools": [tool("look"), tool("find")]},
    "seldom": {"tool_choice": "required", "tools": [tool("look")]},
    "two deployments": {"model": "gpt-4.1"},
    "no tools": {},
}
CHANGES = 0.02
"""How often the constant of a kind changes for good."""
SELDOM = 0.04
"""How often a call of another is billed one more."""


class Fate:
    """Decides what each call is billed beside its constant, and by which model it is answered."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.more: Counter[str] = Counter()

    def of(self, kind: str) -> tuple[int, str]:
        """Return the tokens that are added, and the model."""
        if kind == "changes" and self.chance.random() < CHANGES:
            self.more[kind] += 1
        more = self.more[kind]
        if kind == "flaps":
            more += self.chance.randrange(2)
        if kind == "seldom":
            more += self.chance.random() < SELDOM
        if kind == "two deployments" and self.chance.randrange(2):
            return more + 5, "gpt-4.1-of-the-other"
        return more, "gpt-4.1-2025-04-14"


async def live(application, calls, seed):
    """Make calls at random; return how many were calibrated, by kind."""
    chance, biller = random.Random(seed), application.biller
    fate, seen, calibrated = Fate(chance), defaultdict(list), Counter()
    again: dict[str, int] = {}
    for _ in range(calls):
        kind = chance.choice([*KINDS])
        biller.more, biller.model = fate.of(kind)
        words = again[kind] if kind in again and chance.random() < 0.1 else chance.randrange(1, 400)
        asked = {**KINDS[kind], "tools": [*KINDS[kind].get("tools", ())]}
        asked = {name: value for name, value in asked.items() if value}
        if chance.random() < 0.7:
            retried = again.get(kind) == words
            await application.ask(words, **asked)
            again[kind] = words
            differs = biller.billed[-1] - words
            known = seen[kind, biller.model]
            if not retried or known[-1:] != [differs]:
                known.append(differs)
        else:
            if chance.random() < 0.2 and "tools" in asked:
                asked["tools"].append(tool(f"new{chance.random()}"))
                assert (await application.unreported(words, **asked))[0] != "calibrated"
                continue
            source, tokens = await application.unreported(words, **asked)
            if source == "calibrated":
                last = seen[kind, biller.model][-LAST:]
                assert {tokens - words} == set(last), (kind, last)
                calibrated[kind] += 1
    return calibrated


@pytest.mark.thorough
@pytest.mark.settings(count_verification_ratio=1)
async def test_nothing_is_calibrated_wrongly_after_a_violation_was_seen(application):
    calibrated = await live(application, 150, 7)
    assert calibrated["steady"] + calibrated["no tools"] > 5
    assert calibrated["flaps"] < 3


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.settings(count_verification_ratio=1)
async def test_no_wrong_constant_is_learned_in_a_long_life(application, driver):
    calibrated = await live(application, 3_000, seed=int(driver.mode == "async"))
    assert calibrated["steady"] > 50
    assert calibrated["changes"] > 5
    assert calibrated["two deployments"] > 50
    assert calibrated["flaps"] < 3


def test_the_server_s_constants_differ():
    assert len({hidden({**KINDS[kind], "messages": []}) for kind in KINDS}) == len(KINDS)
