"""What the tests of content share: a way to read what was said out of all that was told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests import shared
from tests.content.schemas import SCHEMAS, check

# tokentrail is imported in the fixtures: strictness must be settled before.

if TYPE_CHECKING:
    from collections.abc import Mapping


no_chance = shared.no_chance
serve = shared.serve_in_turn


def thawed(value: Any) -> Any:
    """Return ``value`` with the lists that an SDK froze into tuples."""
    if isinstance(value, dict):
        return {key: thawed(item) for key, item in value.items()}
    return [thawed(item) for item in value] if isinstance(value, (list, tuple)) else value


def content_in(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content among ``attributes`` by its short name, each checked by its schema."""
    found = {}
    for name in SCHEMAS:
        if name in attributes:
            value = attributes[name]
            read = json.loads(value) if isinstance(value, str) else thawed(value)
            found[name.removeprefix("gen_ai.")] = check(name, read)
    return found


@dataclass(frozen=True)
class Said:
    """What was said in the only call, wherever it was told."""

    trail: Any

    def on_span(self) -> dict[str, Any]:
        """Return what stands on the span: JSON text, every value."""
        attributes = self.trail.spans.attributes()
        for name in SCHEMAS:
            assert isinstance(attributes.get(name, ""), str)
        return content_in(attributes)

    def in_event(self) -> dict[str, Any]:
        """Return what stands in the details event: structured, wherever that can be."""
        from tokentrail.telemetry.log_records import IS_STRUCTURED

        attributes = self.trail.logs.one("operation.details").attributes
        for name in SCHEMAS:
            assert not (IS_STRUCTURED and isinstance(attributes.get(name), str))
        return content_in(attributes)

    def everywhere(self) -> dict[str, Any]:
        """Return what span and event say, which must be the same."""
        on_span = self.on_span()
        assert on_span == self.in_event()
        return on_span

    def output(self) -> list[Any]:
        """Return the output messages."""
        return self.everywhere().get("output.messages", [])


@pytest.fixture
def said(trail) -> Said:
    return Said(trail)
