"""The content of a call: messages, instructions and tools, if you want it recorded.

Nothing here knows an API or OpenTelemetry. The readers of each API, in ``tokentrail.apis``, return
frozen records (:class:`Content`), the user's :class:`Redaction` is applied to them, and
``serialize_*`` return the JSON of the conventions' message schemas. If content is not captured,
nothing of this package runs.
"""

from tokentrail.content.parts import Content
from tokentrail.content.redaction import KINDS, Redaction
from tokentrail.content.serialize import (
    serialize_documents,
    serialize_messages,
    serialize_parts,
    serialize_tools,
)
from tokentrail.content.values import to_json

__all__ = [
    "KINDS",
    "Content",
    "Redaction",
    "serialize_documents",
    "serialize_messages",
    "serialize_parts",
    "serialize_tools",
    "to_json",
]
