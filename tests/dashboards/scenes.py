"""The calls of a round, one of every ending, source and API, and what is known of each beforehand.

Every piece of the answer is one token, so what was received is what is counted; usage that the
server reports is written here. None of the numbers is read back from telemetry.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
"""What the agent may call."""
FRAMED, TOOL_TOKENS = 3, 25
"""Tokens that frame a request, and those of the tool."""
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

    turn: int = 0
    """Of the agent's conversation, which is another in each round."""
    parts: dict[str, int] = field(default_factory=dict)
    """What the input is made of, where it is more than a question."""
    cacheable: int = 0
    missed: str | None = None
    """Why the cache served less than it could."""

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


TOOL_USAGE = {
    "web_search": {"num_requests": 3},
    "image_gen": {"input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210},
}
"""What the server's own tools took for each answer of the Responses API."""


def messages(scene: Scene, number: int) -> list[dict[str, str]]:
    """Return what is asked, in the round of a number below ten."""
    question = {"role": "user", "content": QUESTION}
    if not scene.turn:
        return [question]
    words = 1495 if scene.turn == 1 else 1595
    instructions = {"role": "system", "content": f"{number}" + " hello" * words}
    past = [question, {"role": "assistant", "content": "".join(PIECES)}] * (scene.turn - 1)
    return [instructions, *past, question]


def agent(turn: int, instructions: int, cached: int, cacheable: int, missed: str | None) -> Scene:
    """Return a turn of the agent: a message takes 4 tokens beside its text, an answer has 7.

    The instructions have a number, 1,495 or 1,595 words, and a blank line above the tool.
    """
    parts = {
        "instructions": instructions,
        "tools": TOOL_TOKENS,
        "history": (10 + 11) * (turn - 1),
        "user": 10,
        "other": FRAMED,
    }
    total = sum(parts.values())
    return Scene(
        f"agent, turn {turn}",
        "gpt-4.1",
        input=reported(total, counted=total),
        output=reported(8, counted=8),
        stream=False,
        cached=cached,
        turn=turn,
        parts={name: number for name, number in parts.items() if number},
        cacheable=cacheable,
        missed=missed,
    )


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
    # of 1,539 tokens, then of 1,660, the cache takes twelve whole steps of 128
    agent(1, 1501, cached=1024, cacheable=0, missed=None),
    agent(2, 1601, cached=0, cacheable=1536, missed="instructions_changed"),
    agent(3, 1601, cached=1024, cacheable=1536, missed="not_served"),
)
