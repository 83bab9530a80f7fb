"""Models: which encoding a model's tokens are of, and whether it may think unseen.

The table is ours: tiktoken's own raises KeyError for several current models and for every Azure
name. A family matches its own name and everything that goes on after a "-", ":" or "@" (dates,
sizes, tags), of some also after a "." (point releases). A model that no family matches is unknown:
None, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tokentrail.counting.encodings import RECIPES

GUESSED_ENCODING = "o200k_base"
"""What to count with where the model is unknown: the count is then an approximation."""

_CL100K = "cl100k_base"
_O200K = "o200k_base"
_SEPARATORS = ("-", ":", "@")


@dataclass(frozen=True, slots=True)
class Family:
    """Models that share an encoding and a habit of thinking."""

    name: str
    encoding: str
    reasons: bool = False
    versions: bool = False
    """Point releases belong to it: gpt-5.1, gpt-5.4-mini."""

    def has(self, model: str) -> bool:
        """Tell whether ``model``, in lower case, is of this family."""
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
)
"""Older models (text-davinci-003 and before) use encodings that are not shipped: unknown here."""


def encoding_name(model: str) -> str | None:
    """Return the encoding's name for a model's, None if it is not known.

    Case does not matter; ``ft:gpt-4.1:org::id`` and ``openai/gpt-4.1`` are read as gpt-4.1.
    """
    family = _family(model)
    return family.encoding if family else None


def resolve(name: str) -> str | None:
    """Return the encoding's name for a model's or an encoding's own name, None if not known."""
    return name if name in RECIPES else encoding_name(name)


def may_reason(model: str) -> bool:
    """Tell whether the model may bill tokens of thought that nobody sees."""
    family = _family(model)
    return family is not None and family.reasons


def base_name(model: str) -> str:
    """Return the model's plain name: lower case, without vendor prefix and fine-tuning."""
    name = model.strip().lower().rpartition("/")[2]
    return name.split(":")[1] if name.startswith("ft:") else name


@lru_cache(maxsize=256)
def _family(model: str) -> Family | None:
    name = base_name(model)
    return next((family for family in FAMILIES if family.has(name)), None)
