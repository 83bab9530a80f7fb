"""Counting: how many tokens a prompt and an answer have.

Knows models, encodings, text and the records of a prompt; nothing of openai, of spans or of
metrics. The only package that imports tiktoken, and that not before an encoding is built.
"""

from tokentrail.counting.encodings import ENCODINGS, Encodings
from tokentrail.counting.models import GUESSED_ENCODING, encoding_name, may_reason, resolve
from tokentrail.counting.output import HELD, OutputTally, Surcharges
from tokentrail.counting.prompt import InputTally
from tokentrail.counting.text import INLINE, Encoder, estimate, weight

__all__ = [
    "ENCODINGS",
    "GUESSED_ENCODING",
    "HELD",
    "INLINE",
    "Encoder",
    "Encodings",
    "InputTally",
    "OutputTally",
    "Surcharges",
    "encoding_name",
    "estimate",
    "may_reason",
    "resolve",
    "weight",
]
