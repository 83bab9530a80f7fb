"""The invented history that pictures are drawn from has the names and labels that are recorded."""

from __future__ import annotations

import re

import pytest
from tests.dashboards.test_files import in_prometheus
from tools.draw.history import FLEETS, INCIDENTS, History, fill

RESOURCE = {"deployment_environment_name", "tenant"}


@pytest.mark.parametrize("incident", INCIDENTS[:2])
@pytest.mark.parametrize("vocabulary", ["released", "latest"])
def test_every_series_of_the_history_is_one_that_is_recorded(monkeypatch, vocabulary, incident):
    monkeypatch.setattr("tools.draw.history.HOURS", 0.05)
    history = History(vocabulary)
    fill(history, FLEETS["four"], 1_800_000_000.0, incident)
    known = in_prometheus()
    seen = set()
    for line in history.text():
        if not line.startswith("#"):
            name, labels = re.fullmatch(r"(\w+)\{(.*)\} \S+ \d+", line).groups()
            named = set(re.findall(r'(\w+)="', labels))
            assert named <= known[name] | RESOURCE, name
            seen.add(name)
    assert ("gen_ai_client_token_usage_sum" in seen) == (vocabulary == "released")
    assert "tokentrail_client_time_to_first_content_seconds_bucket" in seen
