"""Models: the encoding of a model, and whether it may reason without showing it.

The table is ours: tiktoken's own raises KeyError for several current models and for every Azure
name. A family matches its own name, and that name followed by "-", ":" or "@" (dates, sizes, tags)
or, for some, "." (point releases). A model that no family matches is unknown: None, never a guess.
Some families are known by name only: their encoding is a guess.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

from tokentrail.counting.encodings import RECIPES
from tokentrail.support.frozen import lean_dataclass

GUESSED_ENCODING = "o200k_base"
"""The encoding for unknown models: their count is an approximation."""

_CL100K = "cl100k_base"
_O200K = "o200k_base"
_SEPARATORS = ("-", ":", "@")
_PREFIX = re.compile(
    r"(?:[a-z]{2,6}\.)?(?:openai|azure|azure_openai|bedrock|databricks|litellm)[.:_-]"
)
"""Prefixes of Bedrock, gateways and routers: openai.gpt-oss-120b, openai:gpt-4o."""
_LATER = re.compile(r"gpt-(?:[6-9]|[1-9]\d)(?![\d])|o(?:[5-9]|[1-9]\d)(?![\w.])")
"""Reasoning models newer than the table: gpt-6.1-sol, o5-mini."""
_POINT_RELEASE = re.compile(r"gpt-5\.(\d+)")
_NEW_CALLS = 4
"""Since gpt-5.4, a call in the prompt of the Responses API costs more."""


class Dialect(str, Enum):
    """How the server writes a model's prompts and answers: families that are billed alike."""

    PLAIN = "plain"
    OLDEST = "gpt-3.5-turbo-0301"
    EARLY = "o1-mini"
    """The first reasoning models: their prompts are written as those of models that do not
    reason."""
    O_SERIES = "o"
    GPT_5 = "gpt-5"
    GPT_5_4 = "gpt-5.4"
    """gpt-5.4 and all later models."""
    OSS = "gpt-oss"

    @property
    def reasons(self) -> bool:
        """Whether its models reason before they answer."""
        return self not in _PLAIN


_PLAIN = frozenset({Dialect.PLAIN, Dialect.OLDEST})


@lean_dataclass(frozen=True, slots=True)
class Family:
    """Models that share an encoding and either all reason or none does."""

    name: str
    encoding: str
    reasons: bool = False
    versions: bool = False
    """It includes point releases: gpt-5.1, gpt-5.4-mini."""
    proven: bool = True
    """Its encoding is known, not guessed."""

    def has(self, model: str) -> bool:
        """Return whether ``model``, in lower case, is of this family."""
        rest = model[len(self.name) :]
        ends = (*_SEPARATORS, ".") if self.versions else _SEPARATORS
        return model.startswith(self.name) and (not rest or rest.startswith(ends))


FAMILIES = (
    Family("gpt-5-chat", _O200K),
    Family("gpt-5", _O200K, reasons=True, versions=True),
    Family("gpt-oss", _O200K, reasons=True),
    Family("o1", _O200K, reasons=True),
    Family("o3", _O200K, reasons=True),
    Family("o4", _O200K, reasons=True),
    Family("codex-mini", _O200K, reasons=True),
    Family("computer-use-preview", _O200K, reasons=True),
    Family("gpt-4o", _O200K),
    Family("chatgpt-4o", _O200K),
    Family("gpt-4.1", _O200K),
    Family("gpt-4.5", _O200K),
    Family("gpt-4", _CL100K),
    Family("gpt-3.5", _CL100K),
    Family("gpt-35-turbo", _CL100K),
    Family("text-embedding-3", _CL100K),
    Family("text-embedding-ada-002", _CL100K),
    Family("davinci-002", _CL100K),
    Family("babbage-002", _CL100K),
    Family("davinci:2023-07-21", _CL100K),
    Family("babbage:2023-07-21", _CL100K),
    Family("gpt-daybreak", _O200K, reasons=True, proven=False),
    Family("gpt-rosalind", _O200K, reasons=True, proven=False),
    Family("chat-latest", _O200K, reasons=True, proven=False),
    Family("gpt-audio", _O200K, proven=False),
    Family("gpt-realtime", _O200K, proven=False),
    Family("gpt-live", _O200K, proven=False),
    Family("gpt-transcribe", _O200K, proven=False),
    Family("gpt-image", _O200K, proven=False),
    Family("chatgpt-image", _O200K, proven=False),
)
"""Older models (text-davinci-003 and before) use encodings that are not shipped: unknown here."""

_UNSEEN = Family("", _O200K, reasons=True, proven=False)
"""Newer than the table."""


@lru_cache(maxsize=256)
def family_of(model: str) -> Family | None:
    """Return the family of a model, None if it is not known.

    Case does not matter; ``ft:gpt-4.1:org::id``, ``openai/gpt-4.1``, ``openai:gpt-4.1`` and
    Bedrock's ``openai.gpt-4.1`` are read as gpt-4.1.
    """
    name = base_name(model)
    found = next((family for family in FAMILIES if family.has(name)), None)
    return _UNSEEN if found is None and _LATER.match(name) else found


def encoding_name(model: str) -> str | None:
    """Return the encoding's name for a model's, None if it is not known or only guessed."""
    family = family_of(model)
    return family.encoding if family and family.proven else None


def is_known(model: str) -> bool:
    """Return whether the model belongs to a known family, even to one known by name only."""
    return family_of(model) is not None


def resolve(name: str) -> str | None:
    """Return the encoding's name for a model's or an encoding's own name, None if not known."""
    return name if name in RECIPES else encoding_name(name)


def may_reason(model: str) -> bool:
    """Return whether the model may bill reasoning tokens that the answer does not show."""
    family = family_of(model)
    return family is not None and family.reasons


_DIALECTS = (
    ("gpt-oss", Dialect.OSS),
    ("gpt-5", Dialect.GPT_5),
    ("o1-mini", Dialect.EARLY),
    ("o1-preview", Dialect.EARLY),
    ("computer-use", Dialect.EARLY),
    ("o", Dialect.O_SERIES),
    ("codex", Dialect.O_SERIES),
)
"""By prefix of a reasoning model's name, the first match counts; later models as gpt-5.4."""


@lru_cache(maxsize=256)
def dialect_of(model: str) -> Dialect:
    """Return how the model's prompts and answers are written."""
    name = base_name(model)
    if not may_reason(model):
        oldest = name in {"gpt-3.5-turbo-0301", "gpt-35-turbo-0301"}
        return Dialect.OLDEST if oldest else Dialect.PLAIN
    known = next((dialect for start, dialect in _DIALECTS if name.startswith(start)), None)
    release = _POINT_RELEASE.match(name)
    if release is not None and int(release[1]) >= _NEW_CALLS:
        return Dialect.GPT_5_4
    return known or Dialect.GPT_5_4


def is_gpt_4(model: str) -> bool:
    """Return whether the model is gpt-4 itself, not gpt-4o or later."""
    family = family_of(model)
    return family is not None and family.name == "gpt-4"


def base_name(model: str) -> str:
    """Return the model's plain name: lower case, without vendor prefix and fine-tuning."""
    name = model.strip().lower().rpartition("/")[2]
    name = name.split(":")[1] if name.startswith("ft:") else name
    prefix = _PREFIX.match(name)
    return name[prefix.end() :] if prefix else name
