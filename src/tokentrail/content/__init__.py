"""What is said in a call: messages, instructions and tools, read only where the user wants it.

Nothing here knows openai's classes or OpenTelemetry. What a request and its answer say is read
into frozen records (:class:`Content`), what the user's :class:`Rules` leave of them is kept, and
``written_*`` give the JSON of the conventions' message schemas. Where content is not captured,
nothing of this package runs.
"""

from tokentrail.content.capture import Capture, CapturingShape
from tokentrail.content.parts import Content
from tokentrail.content.redaction import KINDS, Rules
from tokentrail.content.request import read_asked
from tokentrail.content.response import gathering_for
from tokentrail.content.serialize import written_messages, written_parts, written_tools
from tokentrail.content.values import to_json

__all__ = [
    "KINDS",
    "Capture",
    "CapturingShape",
    "Content",
    "Rules",
    "gathering_for",
    "read_asked",
    "to_json",
    "written_messages",
    "written_parts",
    "written_tools",
]
