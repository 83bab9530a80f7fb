from __future__ import annotations

import pytest
from tests import shared

# tokentrail is imported in the fixtures: strictness must be settled before.


no_chance = shared.no_chance
serve = shared.serve_in_turn


@pytest.fixture
def encodings() -> None:
    """Have both encodings built, so that nothing waits for one."""
    from tokentrail.counting import ENCODINGS

    for name in ("cl100k_base", "o200k_base"):
        assert ENCODINGS.load(name) is not None
