"""What is said in a call: messages, instructions and tools, where the user wants it recorded.

Nothing here knows an API or OpenTelemetry. The readers of each API, in ``tokentrail.apis``, give
frozen records (:class:`Content`), what the user's :class:`Redaction` leaves of them is kept, and
``serialize_*`` give the JSON of the conventions' message schemas. Where content is not captured,
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
