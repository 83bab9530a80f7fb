"""The mock servers: how each is started, and what it has."""

from __future__ import annotations

from dataclasses import dataclass, field

SAID = "A small answer that is the same each time."


@dataclass(frozen=True)
class MockServer:
    """A package, how its server is started, and when its streams bear usage."""

    package: str
    version: str
    command: tuple[str, ...]
    """What follows its Python; ``{port}`` stands for the port."""
    usage: str
    """On a stream of chat: ``never``, ``asked``, or ``always``, asked or not."""
    also: frozenset[str] = frozenset()
    """What it has beside chat completions: other methods, and tool calls."""
    files: dict[str, str] = field(default_factory=dict)
    """What it wants to find in the folder in which it starts."""

    def __str__(self) -> str:
        return self.package


MOCK_SERVERS = (
    MockServer(
        "fakellm",
        "0.3.5",
        ("-m", "fakellm.cli", "serve", "--port", "{port}"),
        "never",
        files={"fakellm.yaml": "version: 1\ndefaults: {fallback: deterministic_echo}\nrules: []\n"},
    ),
    MockServer(
        "mockllm",
        "0.0.8",
        ("-m", "uvicorn", "mockllm.server:app", "--port", "{port}"),
        "never",
        files={"responses.yml": f"responses: {{}}\ndefaults: {{unknown_response: '{SAID}'}}\n"},
    ),
    MockServer(
        "llmock",
        "0.2.2",
        ("-m", "uvicorn", "llmock.main:app", "--port", "{port}"),
        "asked",
        frozenset({"embeddings", "responses", "tools"}),
    ),
    MockServer(
        "llm-mock-api",
        "0.1.2",
        ("-m", "llm_mock_api.cli", "start", "--port", "{port}", "--latency", "0", "-f", SAID),
        "always",
        frozenset({"responses"}),
    ),
    MockServer(
        "mock-ai-api",
        "0.1.1",
        ("-m", "uvicorn", "app.openai_app:app", "--port", "{port}"),
        "always",
        frozenset({"completions", "embeddings", "responses"}),
    ),
)
