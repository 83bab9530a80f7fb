"""What is said in a call: messages, instructions and tools, read only where the user wants it.

Nothing here knows openai's classes or OpenTelemetry. What a request and its answer say is read
into frozen records (:class:`Content`), what the user's :class:`Rules` leave of them is kept, and
``written_*`` give the JSON of the conventions' message schemas. Where content is not captured,
nothing of this package runs.
"""

from tokentrail.content.capture import Capture, CapturingAdapter
from tokentrail.content.parts import Content
from tokentrail.content.redaction import KINDS, Redaction
from tokentrail.content.request import read_request_content
from tokentrail.content.response import content_accumulator
from tokentrail.content.serialize import serialize_messages, serialize_parts, serialize_tools
from tokentrail.content.values import to_json

__all__ = [
    "KINDS",
    "Capture",
    "CapturingAdapter",
    "Content",
    "Redaction",
    "content_accumulator",
    "read_request_content",
    "serialize_messages",
    "serialize_parts",
    "serialize_tools",
    "to_json",
]
