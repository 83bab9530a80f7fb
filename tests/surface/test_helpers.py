"""The client's own methods that call one of ours: what they do is told once, as what it is."""

from __future__ import annotations

import openai
import pytest
from tests.surface import results
from tests.surface.table import HELPER, HELPER_STREAM, HELPERS
from tests.surface.taking import Taken, check_told, take

pytestmark = pytest.mark.surface

STREAMS = [method for method in HELPERS if method.streamed is not None]


@pytest.fixture(params=HELPERS, ids=lambda method: method.path)
def method(request, surface):
    """Give each helper that this release has; what it lacks is noted."""
    if request.param.on(surface.client()) is None:
        results.keep(request.param.path, "helper", None)
        pytest.skip(f"openai {openai.__version__} has no {request.param.path}")
    return request.param


async def _events(driver, method, asked, way):
    """Take the events of a helper's stream, and what it makes of them in the end."""
    async with driver.within(method(**asked)) as stream:
        events = await driver.read(stream)
        final = getattr(stream, "get_final_completion", None) or stream.get_final_response
        return Taken([*events, await driver.call(final)])


async def test_a_helper_is_recorded_once(method, kind, surface):
    """Whatever it calls within, there is one span, and the application sees no difference."""
    way, make = (HELPER, take) if method.streamed is None else (HELPER_STREAM, _events)
    taken = await surface.twice(method, way, kind, make)
    results.keep(method.path, way.name, check_told(surface.trail, method, way, taken))


@pytest.mark.parametrize("method", STREAMS, ids=lambda method: method.path, indirect=True)
async def test_a_helper_closed_early_is_recorded_once(method, surface):
    """It closes the response and never the stream; leaving is the end all the same."""
    client = surface.client()
    asked = await surface.asked(method)
    async with surface.driver.within(method.on(client.copy())(**asked)) as stream:
        await surface.driver.next(stream)
    assert surface.trail.spans.attributes()["tokentrail.outcome"] == "closed_early"
