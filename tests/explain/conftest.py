from __future__ import annotations

import pytest
from tests import shared

# tokentrail is imported in the fixtures: strictness must be settled before.

no_chance = shared.no_chance
serve = shared.serve_in_turn


@pytest.fixture
def encodings() -> None:
    """Have the encoding built, so that nothing waits for it."""
    from tokentrail.counting import ENCODINGS

    assert ENCODINGS.load("o200k_base") is not None
