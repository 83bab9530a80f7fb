"""The Views of docs/views.md: what long streams want of the histograms of times."""

from __future__ import annotations

import re
from pathlib import Path

import openai
import pytest
from tests import shared

import tokentrail

PAGE = Path(__file__).parents[2] / "docs" / "views.md"
EVERYWHERE = {"tokentrail.client.time_to_first_content"}
BY_NAMES = {
    "released": {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
    },
    "latest": {
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.embeddings.duration",
    },
}

server = shared.model


@pytest.mark.parametrize("names", ["released", "latest"])
def test_each_histogram_of_a_time_has_the_buckets_of_the_page(names, server, monkeypatch):
    monkeypatch.setenv("TOKENTRAIL_METRIC_NAMES", names)
    (program,) = re.findall(
        r"(?ms)^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    page = {"tokentrail": tokentrail}
    exec(program, page)  # noqa: S102 - it is the page that is tested
    messages = [{"role": "user", "content": "Hello, how are you?"}]
    with openai.OpenAI(base_url=server.base_url, api_key="no-secret") as client:
        for _ in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
            pass
        client.embeddings.create(model="text-embedding-3-small", input="Hello")
    seen = _last_boundaries(page["reader"])
    tokentrail.uninstrument()
    page["provider"].shutdown()
    assert seen.keys() == EVERYWHERE | BY_NAMES[names]
    assert set(seen.values()) == {1310.72}


def _last_boundaries(reader):
    """Return the last boundary of each histogram of seconds."""
    return {
        metric.name: point.explicit_bounds[-1]
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.unit == "s"
        for point in metric.data.data_points
    }
