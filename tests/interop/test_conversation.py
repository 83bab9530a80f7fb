"""The conversation that opentelemetry-util-genai keeps on the context."""

from __future__ import annotations

import pytest
from opentelemetry import context as otel_context
from tests import shared

pytestmark = pytest.mark.interop

server = shared.model
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}


@pytest.fixture
def conversation(needed):
    """Enter a conversation as a framework on util-genai does."""
    context = needed("opentelemetry.util.genai._conversation_context")
    token = otel_context.attach(context.with_conversation_id("conv-9"))
    yield
    otel_context.detach(token)


async def test_it_is_on_our_span(conversation, trail, driver, server):
    client = driver.client(server)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    await driver.read(stream)
    assert trail.spans.one().attributes["gen_ai.conversation.id"] == "conv-9"


async def test_it_is_on_the_one_span_of_both_instrumentations(
    conversation, both, trail, driver, server
):
    client = driver.client(server)
    await driver.call(client.chat.completions.create, **ASKED)
    assert trail.spans.one().attributes["gen_ai.conversation.id"] == "conv-9"
