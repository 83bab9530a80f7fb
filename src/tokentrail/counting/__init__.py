"""Counting: how many tokens a prompt and an answer have.

Knows models, encodings, text and the records of a prompt; nothing of openai, of spans or of
metrics. The only package that imports tiktoken, and that not before an encoding is built.
"""

from tokentrail.counting.encodings import ENCODINGS, Encodings
from tokentrail.counting.models import (
    GUESSED_ENCODING,
    Dialect,
    base_name,
    dialect_of,
    encoding_name,
    is_gpt_4,
    is_known,
    may_reason,
    resolve,
)
from tokentrail.counting.output import HELD, OutputTally
from tokentrail.counting.prompt import InputTally
from tokentrail.counting.rules import RULES, Part, RuleId, evidence_of, is_proven, proves
from tokentrail.counting.schemas import render_schema, schema_name
from tokentrail.counting.surcharges import Surcharges
from tokentrail.counting.text import INLINE, Encoder, estimate, weight
from tokentrail.counting.turns import Turn, turns

__all__ = [
    "ENCODINGS",
    "GUESSED_ENCODING",
    "HELD",
    "INLINE",
    "RULES",
    "Dialect",
    "Encoder",
    "Encodings",
    "InputTally",
    "OutputTally",
    "Part",
    "RuleId",
    "Surcharges",
    "Turn",
    "base_name",
    "dialect_of",
    "encoding_name",
    "estimate",
    "evidence_of",
    "is_gpt_4",
    "is_known",
    "is_proven",
    "may_reason",
    "proves",
    "render_schema",
    "resolve",
    "schema_name",
    "turns",
    "weight",
]
