"""Calls that no provider takes: one line of information, since it may be meant so."""

from __future__ import annotations

import logging

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

import tokentrail
from tokentrail.support import guard
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("providers", "informs"),
    [
        ({}, True),
        ({"tracer_provider": TracerProvider()}, False),
        ({"meter_provider": MeterProvider()}, False),
    ],
    ids=["none", "tracer", "meter"],
)
async def test_the_first_call_without_a_provider_is_mentioned(
    driver, caplog, monkeypatch, providers, informs
):
    monkeypatch.setattr(guard, "_logged", set())
    caplog.set_level(logging.INFO, "tokentrail")
    tokentrail.instrument(**providers, skip_dep_check=True)
    try:
        with Server(Model()) as server:
            client = driver.client(server)
            assert caplog.records == []
            for _ in range(2):
                await driver.call(client.chat.completions.create, **ASKED)
            await driver.close_all()
    finally:
        tokentrail.uninstrument()
    lines = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "tokentrail"]
    assert len(lines) == informs
    for level, text in lines:
        assert level == "INFO"
        assert "no tracer or meter provider" in text
        assert "opentelemetry-instrument" in text
