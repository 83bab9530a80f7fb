"""What OpenAI's answers look like on the wire, built from one :class:`Answer`.

``chat``, ``responses``, ``completions`` and ``embeddings`` tell it in their API's shape, as a
whole body or as the events of a stream; ``errors`` holds what is said instead. What is no text,
``images``, ``audio`` and ``judgements``, is made of nothing.
"""

from tokentrail.testing.payloads import (
    audio,
    chat,
    completions,
    embeddings,
    errors,
    images,
    judgements,
    responses,
)
from tokentrail.testing.payloads.answer import Answer, ToolCall, Usage, UsageOn, paced, pieces

__all__ = [
    "Answer",
    "ToolCall",
    "Usage",
    "UsageOn",
    "audio",
    "chat",
    "completions",
    "embeddings",
    "errors",
    "images",
    "judgements",
    "paced",
    "pieces",
    "responses",
]
