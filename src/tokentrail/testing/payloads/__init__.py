"""OpenAI's answers as they are on the wire, built from one :class:`Answer`.

``chat``, ``responses``, ``completions`` and ``embeddings`` build it in the format of their API, as
a whole body or as the events of a stream; ``errors`` builds error bodies. ``images``, ``audio`` and
``judgements`` have fixed content.
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
