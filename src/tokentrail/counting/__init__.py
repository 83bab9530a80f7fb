"""Counting: how many tokens a prompt and an answer have.

Knows models, encodings, text and the records of a prompt; nothing of openai, of spans or of
metrics. The only package that imports tiktoken, and that not before an encoding is built. A program
whose calls all report their usage imports next to nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokentrail.counting.encodings import ENCODINGS, Encoder, Encodings
    from tokentrail.counting.models import (
        GUESSED_ENCODING,
        Dialect,
        base_name,
        dialect_of,
        encoding_name,
        family_of,
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
    from tokentrail.counting.text import INLINE, estimate, inline_weight, weight
    from tokentrail.counting.turns import Turn
else:
    from tokentrail.support.lazy import lazy_names

    __getattr__ = lazy_names(
        __name__,
        {
            "counting.encodings": "ENCODINGS Encoder Encodings",
            "counting.models": "GUESSED_ENCODING Dialect base_name dialect_of encoding_name "
            "family_of is_gpt_4 is_known may_reason resolve",
            "counting.output": "HELD OutputTally",
            "counting.prompt": "InputTally",
            "counting.rules": "RULES Part RuleId evidence_of is_proven proves",
            "counting.schemas": "render_schema schema_name",
            "counting.surcharges": "Surcharges",
            "counting.text": "INLINE estimate inline_weight weight",
            "counting.turns": "Turn",
        },
    )

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
    "family_of",
    "inline_weight",
    "is_gpt_4",
    "is_known",
    "is_proven",
    "may_reason",
    "proves",
    "render_schema",
    "resolve",
    "schema_name",
    "weight",
]
