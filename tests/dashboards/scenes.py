"""The calls of a round, one of every ending, source and API, and what is known of each beforehand.

Every piece of the answer is one token, so what was received is what is counted; usage that the
server reports is written here. None of the numbers is read back from telemetry.
"""

from __future__ import annotations

from dataclasses import dataclass

QUESTION = "Tell me of the sea."
PIECES = ("The", " sea", " is", " old", " and", " wide", ".")
ENVIRONMENT, VERSION = "production", "1.2.3"
"""Of the application, as its resource has it."""
LIMITS = {
    "x-ratelimit-limit-requests": "100",
    "x-ratelimit-remaining-requests": "40",
    "x-ratelimit-limit-tokens": "1000",
    "x-ratelimit-remaining-tokens": "900",
}
"""Headers of every answer but refusals."""
PAUSE = 0.01
"""Seconds before each event of a stream."""


@dataclass(frozen=True)
class Tokens:
    """A number of tokens, its source, and what it would be if it was counted beside a report."""

    number: int
    source: str
    counted: int | None = None

    @property
    def conventional(self) -> bool:
        """Whether it stands under a ``gen_ai.*`` name."""
        return self.source in ("reported", "counted")


@dataclass(frozen=True)
class Scene:
    """A call and what is told of it."""

    name: str
    model: str
    outcome: str = "completed"
    input: Tokens | None = None
    output: Tokens | None = None
    api: str = "chat"
    operation: str = "chat"
    provider: str = "openai"
    stream: bool = True
    read: int | None = None
    """Pieces after which the application stops, or the server does."""
    error: str | None = None
    cached: int = 0
    reasoning: int = 0
    answers: str | None = None
    """The model that answers, where it is another than the one asked for."""
    tenant: str = "acme"
    """On whose account the application makes it."""
    refusals: int = 0
    """Answers of 429 before the one that counts: the client tries again by itself."""

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended, where the API has a word for it."""
        ended = self.outcome == "completed" and self.api != "embeddings"
        return "stop" if ended else None


def reported(number: int, counted: int | None = None) -> Tokens:
    """Return a report, and the count that verification sets beside it."""
    return Tokens(number, "reported", counted)


def counted(number: int) -> Tokens:
    """Return a count of ours."""
    return Tokens(number, "counted")


SCENES = (
    Scene(
        "plain",
        "gpt-4o-mini",
        input=reported(13, counted=13),
        output=reported(7, counted=7),
        stream=False,
        cached=4,
    ),
    # a server that bills twice the prompt: what drift looks like
    Scene(
        "stream with usage",
        "gpt-4o-mini",
        input=reported(26, counted=13),
        output=reported(7, counted=7),
    ),
    Scene("stream", "gpt-4o-mini", input=counted(13), output=counted(7)),
    Scene("half read", "gpt-4o-mini", "closed_early", counted(13), counted(3), read=3),
    Scene("cancelled", "gpt-4o", "cancelled", counted(13), counted(2), read=2),
    Scene("cut short", "gpt-4o", "truncated", counted(13), counted(4), read=4),
    Scene(
        "absorbed",
        "gpt-4o",
        input=reported(13, counted=13),
        output=reported(7, counted=7),
        stream=False,
        tenant="globex",
        refusals=2,
    ),
    Scene("refused", "gpt-4o", "failed", stream=False, error="openai.RateLimitError"),
    Scene(
        "cut",
        "gpt-4o",
        "failed",
        counted(13),
        counted(4),
        read=4,
        error="openai.APIConnectionError",
    ),
    Scene(
        "thought",
        "o4-mini",
        input=reported(12, counted=12),
        output=reported(199),
        stream=False,
        reasoning=192,
    ),
    Scene("thought unseen", "o4-mini", input=counted(12), output=Tokens(7, "visible")),
    Scene(
        "unknown model",
        "our-own",
        input=Tokens(13, "approximated"),
        output=Tokens(7, "approximated"),
    ),
    Scene(
        "azure",
        "help",
        input=counted(13),
        output=counted(7),
        provider="azure.ai.openai",
        answers="gpt-35-turbo",
    ),
    Scene(
        "responses",
        "gpt-4.1",
        input=reported(13, counted=13),
        output=reported(8, counted=8),
        api="responses",
    ),
    Scene(
        "legacy",
        "gpt-3.5-turbo-instruct",
        input=counted(6),
        output=counted(7),
        api="completions",
        operation="text_completion",
    ),
    Scene(
        "embeddings",
        "text-embedding-3-small",
        input=reported(6, counted=6),
        api="embeddings",
        operation="embeddings",
        stream=False,
    ),
)
