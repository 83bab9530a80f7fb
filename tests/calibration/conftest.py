"""Calls of an application: most are reported, some are not."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.calibration.biller import Biller, text

from tokentrail.counting import ENCODINGS
from tokentrail.testing.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

IN, SOURCE = "gen_ai.usage.input_tokens", "tokentrail.usage.input.source"


@dataclass
class Application:
    """Makes calls of one server, and shows what became of them."""

    driver: Any
    trail: Any
    biller: Biller
    client: Any

    async def ask(self, words: int, *, api: str = "chat", **asked: Any) -> None:
        """Make a call with a question of so many words; its telemetry is recorded then."""
        asked = {"model": "gpt-4o", **asked}
        question = {"role": "user", "content": text(words)}
        if api == "chat":
            asked["messages"] = [*asked.pop("before", ()), question]
            create = self.client.chat.completions.create
        else:
            asked["input"] = [*asked.pop("before", ()), question]
            if not hasattr(self.client, "responses"):
                pytest.skip("this openai has no responses")
            create = self.client.responses.create
        self.trail.spans.clear()
        known = inspect.signature(create).parameters  # an old client has fewer
        later = {name: asked.pop(name) for name in asked.keys() - known.keys()}
        answer = await self.driver.call(create, **asked, extra_body=later or None)
        if asked.get("stream"):
            await self.driver.next(answer)
            await self.driver.close(answer)
        self.trail.spans.all()

    async def teach(self, *lengths: int, **asked: Any) -> None:
        """Make calls that are reported."""
        for words in lengths or (10, 30, 50):
            await self.ask(words, **asked)

    async def unreported(self, words: int = 77, **asked: Any) -> tuple[str, int | None]:
        """Make a call that is closed early; return the source and number of its input."""
        await self.ask(words, stream=True, **asked)
        attributes = self.trail.spans.attributes()
        return attributes[SOURCE], attributes.get(IN)


@pytest.fixture
async def application(driver, trail) -> Iterator[Application]:
    """Give an application whose encodings are built."""
    ENCODINGS.load("o200k_base")
    biller = Biller()
    with Server(biller) as server:
        yield Application(driver, trail, biller, driver.client(server))
