"""What OpenAI's answers look like on the wire, built from one :class:`Answer`.

``chat``, ``responses``, ``completions`` and ``embeddings`` tell it in their API's shape, as a
whole body or as the events of a stream; ``errors`` holds what is said instead.
"""

from tokentrail.demo.payloads import chat, completions, embeddings, errors, responses
from tokentrail.demo.payloads.answer import Answer, ToolCall, Usage, UsageOn, paced, pieces

__all__ = [
    "Answer",
    "ToolCall",
    "Usage",
    "UsageOn",
    "chat",
    "completions",
    "embeddings",
    "errors",
    "paced",
    "pieces",
    "responses",
]
