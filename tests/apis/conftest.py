"""What the tests of the shapes share: an endpoint, and a sink that keeps what it is given."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tokentrail.model.records import Endpoint

MARKS = frozenset({"custom_call", "unknown"})
"""Kinds that bear no text: they say what stands in an answer."""


class Gathered:
    """A sink that joins the pieces of each part."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[str, int, int], list[str]] = defaultdict(list)

    def add(self, kind: str, choice: int, item: int, text: str) -> None:
        """Join ``text`` to its part; only a mark is empty, and a foreign piece is never given."""
        assert type(text) is str
        assert bool(text) is (kind not in MARKS)
        assert type(choice) is type(item) is int
        self._pieces[kind, choice, item].append(text)

    def append_buffer(self, kind: str, choice: int, item: int) -> list[str] | None:
        """Have more of a part left in its list, of which something came."""
        return self._pieces.get((kind, choice, item))

    @property
    def parts(self) -> dict[tuple[str, int, int], str]:
        """Return what was said in each part that is no mark."""
        joined = {part: "".join(pieces) for part, pieces in self._pieces.items()}
        return {part: text for part, text in joined.items() if part[0] not in MARKS}

    @property
    def marks(self) -> set[tuple[str, int, int]]:
        """Return the parts of which it was said that their price is not known."""
        return {part for part in self._pieces if part[0] in MARKS}


@pytest.fixture
def sink() -> Gathered:
    """Return an empty sink."""
    return Gathered()


@pytest.fixture
def endpoint() -> Endpoint:
    """Return the endpoint of OpenAI."""
    return Endpoint("openai", "api.openai.com", 443, "https://api.openai.com/v1/")
